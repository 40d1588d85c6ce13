import assert from 'node:assert/strict';
import type { RestorePointRow } from '../../src/catalog/index.js';
import type { KillableWorld } from './killable-world.js';

/** SHA-256 of each disk, by VM and label. */
type DiskContents = Readonly<Record<string, string>>;

/** A repository that goes through hundreds of faults would hold thousands of restore points. */
const KEPT = 2;

/** Which restore points there have to be, and what is in them, told by the disks that they were made of and not by the service. */
export class KnownPoints {
  private readonly known = new Map<string, DiskContents>();
  private readonly leaving = new Set<string>();
  private firstId: string | undefined;

  constructor(
    private readonly world: KillableWorld,
    private readonly vmNames: readonly string[],
  ) {}

  /** What a restore point that is made now has to hold. */
  async contentNow(): Promise<DiskContents> {
    const { vapps, vcenterVms } = await this.world.state();
    const contents: Record<string, string> = {};
    for (const { name, moRef } of vapps.flatMap(({ vms }) => vms)) {
      if (!this.vmNames.includes(name)) continue;
      const disks = vcenterVms.find((vm) => vm.moRef === moRef)?.disks ?? [];
      for (const [i, { label }] of disks.entries()) contents[`${name}/${label}`] = await this.world.control.diskSha256(moRef, i);
    }
    return contents;
  }

  /**
   * That every restore point of before is there and every one there is restores byte for byte; those that are new hold `now`.
   * @param which `new`: those of before were looked at a moment ago.
   * @throws AssertionError
   */
  async check(now: DiskContents, which: 'all' | 'new' = 'all'): Promise<void> {
    const present = await this.world.restorePoints();
    const ids = present.map(({ id }) => id);
    assert.deepEqual(
      [...this.known.keys()].filter((id) => !ids.includes(id) && !this.leaving.has(id)),
      [],
      'restore points are lost',
    );
    for (const { id } of present) {
      if (which === 'new' && this.known.has(id)) continue;
      const expected = this.known.get(id) ?? now;
      assert.deepEqual(await this.contentOf(id), expected, `restore point ${id} is not what its disks were`);
      this.known.set(id, expected);
      this.firstId ??= id;
    }
  }

  /** One of something else: it holds in the end what it held when it was made. */
  async learn(id: string): Promise<void> {
    this.known.set(id, await this.contentOf(id));
  }

  /** Somebody is about to delete them, and may be stopped in the middle: none has to be there, and one that is restores. */
  mayGo(ids: readonly string[]): void {
    for (const id of ids) this.leaving.add(id);
  }

  /** A restore point that is gone. */
  forget(id: string): void {
    this.known.delete(id);
    this.leaving.delete(id);
  }

  /** The first and the newest ones. */
  async keepFew(): Promise<void> {
    const old = (await this.world.restorePoints()).slice(KEPT).filter(({ id }) => id !== this.firstId);
    for (const { id } of old) {
      await this.world.api.delete(`/api/v1/restore-points/${id}`);
      this.forget(id);
    }
  }

  private async contentOf(id: string): Promise<DiskContents> {
    const { vms } = await this.world.api.get<RestorePointRow>(`/api/v1/restore-points/${id}`);
    const contents: Record<string, string> = {};
    for (const { name, disks } of vms) {
      for (const { diskId, label } of disks) {
        contents[`${name}/${label}`] = await this.world.api.sha256(`/api/v1/restore-points/${id}/disks/${diskId}/export?format=raw`);
      }
    }
    return contents;
  }
}
