import assert from 'node:assert/strict';
import { join } from 'node:path';
import pg from 'pg';
import { retry, sleep, withTimeout } from '../../src/common/index.js';
import type { RunView } from '../../src/jobs/index.js';
import type { VcdClient } from '../../src/vcd/index.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';
import { connectProvider } from '../harness/provider-client.js';
import type { RequestGate } from '../simulator/request-gate.js';
import type { Door, OpenDoor } from './door.js';
import { FAULT_SEED, FIRST_CHECKPOINT, SHOP, SHOP_VMS } from './fault-seed.js';
import type { KillableService } from './killable-service.js';
import { KillableWorld } from './killable-world.js';
import { KnownPoints } from './known-points.js';

/** Longer than the shortest: a machine busy with several worlds stalls a living worker for seconds. */
export const DEFAULT_LEASE_SECONDS = 6;
const QUERY_TIMEOUT_MS = 30_000;
/** A worker that stalls for longer has lost its run all the same, and the run says: start it again. */
export const WHERE_THE_MACHINE_STALLS = {
  attempts: 3,
  baseDelayMs: 100,
  maxDelayMs: 1_000,
  deadlineMs: 180_000,
  retryIf: (error: unknown) => /WORKER_LOST/.test(String(error)),
};

export type Site = 'first' | 'second';

export interface FaultWorldOptions {
  openDoors?: readonly OpenDoor[];
  /** Absent: the repository has one site. Else it has two, and its door stands before this one. */
  doorBefore?: Site | undefined;
  /** Beside the usual. */
  workerSettings?: Readonly<Record<string, string>>;
  leaseSeconds?: number;
}

/**
 * A cloud with one vApp, its restore point, a service that is asked (role `api`) and one worker at a time, which goes through
 * doors and is killed there. It goes from fault to fault; each operation brings it to where it begins.
 */
export class FaultWorld {
  private worker: KillableService | undefined;
  private spoilt = 0;

  private constructor(
    readonly world: KillableWorld,
    readonly vcd: VcdClient,
    /** Of the vApp as it was first. */
    readonly restorePointId: string,
    readonly points: KnownPoints,
    private readonly doors: readonly Door[],
    private readonly workerSettings: Readonly<Record<string, string>>,
    private readonly database: TestDatabase,
  ) {}

  static async start({ leaseSeconds = DEFAULT_LEASE_SECONDS, ...options }: FaultWorldOptions = {}): Promise<FaultWorld> {
    const database = await startTestDatabase();
    const lease = {
      VAPP_VAULT_LEASE_DURATION_SECONDS: String(leaseSeconds),
      VAPP_VAULT_LEASE_LATE_REQUEST_SECONDS: String(3 * leaseSeconds),
    };
    let world: KillableWorld | undefined;
    try {
      world = await KillableWorld.start({ VAPP_VAULT_DATABASE_URL: database.url, ...lease }, { taskDelayMs: 10, seed: FAULT_SEED });
      return await FaultWorld.settle(world, database, options);
    } catch (error) {
      // A sweep tells of it and ends with other worlds; what this one had must not stay on the machine.
      await world?.close().catch(() => undefined);
      await database.stop();
      throw error;
    }
  }

  /** Everything that is there before the first fault. */
  private static async settle(
    world: KillableWorld,
    database: TestDatabase,
    { openDoors = [], doorBefore, workerSettings = {} }: FaultWorldOptions,
  ): Promise<FaultWorld> {
    const place = { databaseUrl: database.url, repositoryDir: siteDir(world, doorBefore ?? 'first') };
    const doors = await Promise.all(openDoors.map((open) => open(world.simulator.gate, place)));
    const sites = doorBefore === undefined ? {} : secondSite(world);
    await world.startService({ VAPP_VAULT_ROLE: 'api', ...sites });
    await world.register();
    const vcd = await connectProvider(world.simulator);
    await world.control.checkpoint(FIRST_CHECKPOINT, SHOP);
    const points = new KnownPoints(world, SHOP_VMS);
    const settings = { ...workerSettings, ...sites, ...Object.assign({}, ...doors.map(({ environment }) => environment)) };
    const worker = await startWorker(world, settings);
    const point = await retry(WHERE_THE_MACHINE_STALLS, async () => (await world.backUp(SHOP))[0]);
    await points.check(await points.contentNow());
    const started = new FaultWorld(world, vcd, String(point), points, doors, settings, database);
    started.worker = worker;
    return started;
  }

  /** Straight to the database, through no door. */
  async query(text: string, values: readonly unknown[] = []): Promise<void> {
    const client = new pg.Client({ connectionString: this.database.url });
    await withTimeout('A change of the catalog', QUERY_TIMEOUT_MS, undefined, async () => {
      await client.connect();
      try {
        await client.query(text, [...values]);
      } finally {
        await client.end();
      }
    });
  }

  get gate(): RequestGate {
    return this.world.simulator.gate;
  }

  /** @throws Error where the service used VDDK against its rules. */
  async close(): Promise<void> {
    this.gate.release(false);
    try {
      await this.vcd.close();
    } finally {
      try {
        await this.world.close();
      } finally {
        for (const door of this.doors) await door.close();
        await this.database.stop();
      }
    }
  }

  /** @returns when another one works: the worker's processes that outlived it, and the runs that it had when it died. */
  async replaceKilledWorker(): Promise<{ survivors: string[]; runIds: string[] }> {
    const kill = async () => {
      const survivors = (await this.worker?.kill()) ?? [];
      // The next one takes seconds to come, and nobody else takes or ends a run.
      const { items } = await this.world.api.get<{ items: RunView[] }>('/api/v1/runs?state=running');
      return { survivors, runIds: items.map(({ id }) => id) };
    };
    const [died, successor] = await Promise.all([kill(), startWorker(this.world, this.workerSettings)]);
    this.worker = successor;
    return died;
  }

  /** Logging in is a step like any other: whoever asks next has to. */
  async endSessions(): Promise<void> {
    await this.world.control.expireSessions();
  }

  /** The guests' disks are not what they were, and not what they were the last time. */
  async spoil(): Promise<void> {
    this.spoilt += 1;
    for (const vm of SHOP_VMS) {
      await this.world.control.guestWrite(vm, { disk: 0, seed: `${vm}-${this.spoilt}`, scatteredBlocks: 12 });
    }
  }

  /** @returns the restore point of what is no vApp. */
  async backUpByName(kind: string, name: string): Promise<string> {
    const { items } = await this.world.api.get<{ items: { id: string }[] }>(`/api/v1/vapps?kind=${kind}&name=${name}`);
    return retry(WHERE_THE_MACHINE_STALLS, async () => {
      const run = await this.world.ended(await this.world.api.post('/api/v1/backups', { vappId: items[0]?.id, settings: {} }));
      assert.equal(run.error, null, `The backup of ${name} failed: ${JSON.stringify(run.error)}`);
      return String(run.result?.restorePointId);
    });
  }

  async delete(vappName: string): Promise<void> {
    for await (const vapp of this.vcd.vapps(`name==${vappName}`)) await this.vcd.deleteVapp(vapp.href);
    for (let looks = 0; (await this.world.state()).vapps.some(({ name }) => name === vappName); looks += 1) {
      if (looks > 500) throw new Error(`vApp "${vappName}" does not go away`);
      await sleep(20);
    }
  }

  /** Those of VMs that went: as many as there were restores, and VDCs have a limit. */
  async deleteDetachedDisks(): Promise<void> {
    const detached: string[] = [];
    for await (const disk of this.vcd.namedDisks()) if (disk.attachedVmCount === 0) detached.push(disk.href);
    for (const href of detached) await this.vcd.deleteNamedDisk(href);
  }

  /** @param vms which disks are as they were first. */
  async assertAsFirst(vappName: string, vms: readonly string[], options: { ignore: string[]; ignoreName?: boolean }): Promise<void> {
    const { disks, attributes } = await this.world.control.compare(FIRST_CHECKPOINT, vappName, options);
    const different = disks.filter((disk) => vms.includes(disk.vm) && (disk.differingBytes > 0 || disk.fileSystem === 'damaged'));
    assert.deepEqual(
      different.map((disk) => `${disk.vm}/${disk.label}: ${disk.differingBytes} bytes, file system ${disk.fileSystem}`),
      [],
      'disks differ',
    );
    assert.deepEqual(attributes, [], 'attributes differ');
  }
}

export function siteDir({ dataDir, repositoryDir }: KillableWorld, site: Site): string {
  return site === 'first' ? repositoryDir : join(dataDir, 'second-site');
}

/** Nothing is copied but by request, and what was deleted at the first site goes with the next copy run: it ends with what there is. */
function secondSite(world: KillableWorld): Readonly<Record<string, string>> {
  return {
    VAPP_VAULT_SECOND_SITE_KIND: 'folder',
    VAPP_VAULT_SECOND_SITE_PATH: siteDir(world, 'second'),
    VAPP_VAULT_SECOND_SITE_KEEP_DELETED_DAYS: '0',
    VAPP_VAULT_SECOND_SITE_COPY_AFTER_BACKUP: 'false',
    VAPP_VAULT_COPY_SCHEDULE: 'off',
  };
}

function startWorker(world: KillableWorld, settings: Readonly<Record<string, string>>): Promise<KillableService> {
  return world.startService({ VAPP_VAULT_ROLE: 'worker', ...settings });
}
