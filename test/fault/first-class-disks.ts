import assert from 'node:assert/strict';
import type { RunView } from '../../src/jobs/index.js';
import { VsphereClient } from '../../src/vsphere/index.js';
import { pattern } from '../contract/vddk-fixtures.js';
import { diskNamed, diskNames, readFromDisk, writeToDisk } from '../harness/first-class-disk-content.js';
import type { KillableWorld } from './killable-world.js';

const MIB = 2 ** 20;
const DATA_BYTES = 4 * MIB;
const SIZE_MIB = 16;
const CONTENTS = ['first', 'today'] as const;

/** First class disks of a world that services die in, each full of a pattern with a name. */
export class FirstClassDisks {
  private constructor(private readonly world: KillableWorld) {}

  static async make(world: KillableWorld, names: readonly string[]): Promise<FirstClassDisks> {
    const disks = new FirstClassDisks(world);
    await disks.withClient(async (client) => {
      const datastoreMoRef = world.simulator.vsphere.datastores()[0]?.moRef ?? '';
      const rest = { capacityMib: SIZE_MIB, provisioning: 'thin', keepAfterDeleteVm: true, policyId: undefined, metadata: [] } as const;
      for (const name of names) {
        await client.firstClassDisks.create({ name, datastoreMoRef, ...rest });
        await disks.write(name, 'first');
      }
    });
    const { items } = await world.api.get<{ items: { id: string }[] }>('/api/v1/clouds');
    await world.api.post(`/api/v1/clouds/${items[0]?.id}/refresh`, {});
    return disks;
  }

  named(name: string) {
    return diskNamed(this.world.simulator.vsphere, name);
  }

  names(): string[] {
    return diskNames(this.world.simulator.vsphere);
  }

  /** As a person would. */
  async delete(name: string): Promise<void> {
    const { id, path } = this.named(name);
    const datastore = this.world.simulator.vsphere.datastores().find((each) => path.startsWith(`[${each.name}]`));
    await this.withClient((client) => client.firstClassDisks.remove({ id, name, datastoreMoRef: datastore?.moRef ?? '' }));
  }

  private async withClient(work: (client: VsphereClient) => Promise<void>): Promise<void> {
    const { url, userName, password, thumbprintSha1 } = this.world.simulator.description.vcenter;
    const client = await VsphereClient.connect({ url, userName, password, trust: { thumbprint: thumbprintSha1 } });
    try {
      await work(client);
    } finally {
      await client.close();
    }
  }

  write(name: string, content: (typeof CONTENTS)[number]): Promise<void> {
    return writeToDisk(this.world.simulator.vsphere, name, MIB, pattern(content, DATA_BYTES));
  }

  /** By name; undefined where it is none of them, whole. */
  async content(name: string): Promise<string | undefined> {
    const found = await readFromDisk(this.world.simulator.vsphere, name, 0, SIZE_MIB * MIB);
    const data = found.subarray(MIB, MIB + DATA_BYTES);
    const rest = [found.subarray(0, MIB), found.subarray(MIB + DATA_BYTES)];
    if (rest.some((bytes) => bytes.some((byte) => byte !== 0))) return undefined;
    return CONTENTS.find((content) => data.equals(pattern(content, DATA_BYTES)));
  }

  async startBackup(name: string): Promise<RunView> {
    const { items } = await this.world.api.get<{ items: { id: string; name: string }[] }>('/api/v1/first-class-disks?present=true');
    return this.world.api.post<RunView>('/api/v1/backups', { vappId: items.find((disk) => disk.name === name)?.id, settings: {} });
  }

  /** Backups that must succeed, all at once. @returns their restore points. */
  async backUp(names: readonly string[]): Promise<Map<string, string>> {
    const runs = await Promise.all(names.map((name) => this.startBackup(name)));
    const ends = await Promise.all(runs.map((run) => this.world.ended(run)));
    for (const end of ends) assert.equal(end.error, null, `The backup of ${end.subject} failed: ${JSON.stringify(end.error)}`);
    return new Map(ends.map((end, i) => [names[i] ?? '', String(end.result?.restorePointId)]));
  }

  startRestore(restorePointId: string | undefined, change: Record<string, unknown>): Promise<RunView> {
    return this.world.api.post<RunView>('/api/v1/restores', { restorePointId, mode: 'first-class-disk', ...change });
  }

  async restore(restorePointId: string | undefined, change: Record<string, unknown>): Promise<void> {
    const end = await this.world.ended(await this.startRestore(restorePointId, change));
    assert.equal(end.error, null);
  }
}
