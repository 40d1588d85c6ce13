import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { RestorePointRow } from '../../src/catalog/index.js';
import type { RunView } from '../../src/jobs/index.js';
import { assertNothingLeft } from './nothing-left.js';
import { StoredPoints } from './stored-points.js';
import { World } from './world.js';

interface VixRequest {
  door: string;
  method: string;
  object: string;
  startedAt: string;
  ms: number;
  outcome: string;
}

/** As many disks as two NFC sessions of 4 MiB hold. */
const DISKS_AT_ONCE = 2;

describe('VDDK under a backup', () => {
  let world: World;

  beforeAll(async () => {
    world = await World.start({
      environment: {
        VAPP_VAULT_RUNS_PER_WORKER: '4',
        VAPP_VAULT_DISKS_PER_RUN: '4',
        VAPP_VAULT_VCENTER_CONNECTIONS: String(DISKS_AT_ONCE),
      },
    });
    await world.register();
  });
  afterEach(() => world.control.clearFaults());
  afterAll(() => world?.close());

  async function vixRequests(): Promise<VixRequest[]> {
    return (await vcenterRequests(world)).filter(({ door }) => door === 'vix');
  }

  async function digests(point: RestorePointRow): Promise<Map<string, string>> {
    const stored = await StoredPoints.open(world);
    const { vms } = await stored.content(point);
    const entries = await Promise.all(
      vms.flatMap(({ name, disks }) => disks.map(async (disk) => [`${name}/${disk.label}`, await stored.sha256(point, disk)] as const)),
    );
    return new Map(entries);
  }

  it('stores every byte once, though connections break and hosts enter maintenance, and says what it read', {
    timeout: 120_000,
  }, async () => {
    const whole = await world.backUp('shop');
    for (const fault of [
      { method: 'read', effect: 'error', vixError: 14011, afterBytes: 2 ** 20, times: 2 },
      { method: 'open', effect: 'vixError', vixError: 14014, times: 2 },
      { method: 'open', effect: 'vixError', vixError: 3047, skip: 4, times: 1 },
      { method: 'read', effect: 'crash', afterBytes: 3 * 2 ** 20, skip: 3, times: 1 },
    ]) {
      await world.control.addFault({ door: 'vix', ...fault });
    }
    const broken = await world.backUp('shop', { forceFull: true });
    expect(await digests(broken)).toEqual(await digests(whole));
    expect(broken.readBytes).toBe(whole.readBytes);
    const refused = (await vixRequests()).filter(({ outcome }) => outcome.startsWith('vixError'));
    expect(refused.map(({ outcome }) => outcome).toSorted()).toEqual(['vixError 14014', 'vixError 14014', 'vixError 3047']);
    await assertNothingLeft(world);
  });

  it('goes on when its processes are killed', { timeout: 120_000 }, async () => {
    await world.control.addFault({ door: 'vix', method: 'read', effect: 'delay', delayMs: 2_000 });
    const run = await world.startBackup('shop', { forceFull: true });
    await world.reach(run, 'Copy the disks');
    await expect.poll(hostsReading, { timeout: 20_000 }).not.toEqual([]);
    for (const pid of hostsReading()) execFileSync('kill', ['-KILL', String(pid)]);
    await world.control.clearFaults();
    const ended = await world.finish(run);
    expect(ended).toMatchObject({ error: null });
    await assertNothingLeft(world);
  });

  it('logs in again when the session with vCenter ends in the middle of a copy, and reads the same bytes', {
    timeout: 120_000,
  }, async () => {
    const before = (await world.restorePoints()).find(({ vappName }) => vappName === 'shop') as RestorePointRow;
    const vixRefusals = (await vixRequests()).filter(({ outcome }) => outcome === 'vixError 3047').length;
    await world.control.addFault({ door: 'vix', method: 'read', effect: 'delay', delayMs: 2_000 });
    const run = await world.startBackup('shop', { forceFull: true, parallelVms: 1 });
    await world.reach(run, 'Copy the disks');
    await expect.poll(hostsReading, { timeout: 20_000 }).not.toEqual([]);
    await fetch(`${world.simulator.description.control.url}/sessions/expire`, { method: 'POST' });
    // What is open stays open; whoever has to open it again finds the session dead.
    for (const pid of hostsReading()) execFileSync('kill', ['-KILL', String(pid)]);
    await world.control.clearFaults();
    const { error, result } = await world.finish(run);
    expect(error).toBeNull();
    const refused = (await vixRequests()).filter(({ outcome }) => outcome === 'vixError 3047');
    expect(refused.length).toBeGreaterThan(vixRefusals);
    const point = await world.api.get<RestorePointRow>(`/api/v1/restore-points/${String(result?.restorePointId)}`);
    expect(await digests(point)).toEqual(await digests(before));
    await assertNothingLeft(world);
  });

  it('restores every byte, though the connection breaks while it writes', { timeout: 120_000 }, async () => {
    await world.control.checkpoint('before', 'shop');
    const point = await world.backUp('shop');
    await world.deleteVapp('shop');
    for (const fault of [
      { method: 'write', effect: 'error', vixError: 14011, afterBytes: 2 ** 20, times: 2 },
      { method: 'write', effect: 'crash', afterBytes: 2 * 2 ** 20, skip: 3, times: 1 },
    ]) {
      await world.control.addFault({ door: 'vix', ...fault });
    }
    const restored = await world.restore({ restorePointId: point.id, mode: 'missing-vapp' });
    expect(restored).toMatchObject({ state: 'succeeded', error: null, warnings: [] });
    const { attributes, disks } = await world.control.compare('before', 'shop');
    expect(attributes).toEqual([]);
    expect(disks.filter((disk) => disk.differingBytes !== 0 || disk.fileSystem === 'damaged')).toEqual([]);
    await assertNothingLeft(world);
  });

  it('takes the transports of the run, and says where VDDK fell back', { timeout: 120_000 }, async () => {
    const refused = await world.finish(await world.startBackup('sandbox', { transport: { modes: ['san'], fallback: 'refuse' } }));
    expect(refused).toMatchObject({ state: 'failed', error: { code: expect.stringMatching(/TRANSPORT_/) } });
    const warned = await world.finish(
      await world.startBackup('sandbox', { transport: { modes: ['hotadd'], fallback: 'allow', compression: 'fastlz' } }),
    );
    expect(warned).toMatchObject({ state: 'warning', error: null });
    expect(warned.warnings.join()).toMatch(/carried by transport nbdssl: VDDK could use none of hotadd/);
    const nbd = await world.backUp('sandbox', { transport: { modes: ['nbd'], fallback: 'refuse' } });
    expect(nbd.vms.flatMap(({ disks }) => disks.map(({ transportMode }) => transportMode))).toEqual(['nbd']);
    await expect(world.startBackup('sandbox', { transport: { modes: ['usb'] } })).rejects.toThrow(/40[02]|42[02]/);
    await assertNothingLeft(world);
  });

  it('never opens more disks than the limits allow, with four runs at once', { timeout: 180_000 }, async () => {
    const before = (await vixRequests()).length;
    await world.control.addFault({ door: 'vix', method: 'read', effect: 'delay', delayMs: 30 });
    const names = ['shop', 'sandbox', 'intranet', 'erp'];
    const runs = await Promise.all(names.map((name) => world.startBackup(name, { forceFull: true, parallelVms: 4 })));
    const ended: RunView[] = await Promise.all(runs.map((run) => world.finish(run)));
    expect(ended.map(({ error }) => error)).toEqual([null, null, null, null]);
    const most = mostOpen((await vixRequests()).slice(before));
    expect(most).toBe(DISKS_AT_ONCE);
    await assertNothingLeft(world);
  });
});

describe('VDDK over SAN', () => {
  let world: World;

  beforeAll(async () => {
    world = await World.start({ environment: { VAPP_VAULT_VDDK_TRANSPORT_MODES: 'san:nbdssl' } });
    await world.register();
    await world.control.addFault({ door: 'vix', method: 'open', effect: 'transport', transport: 'san' });
  });
  afterAll(() => world?.close());

  it('writes base disks below a snapshot, which is reverted to and removed', { timeout: 120_000 }, async () => {
    await world.control.checkpoint('before', 'intranet');
    const point = await world.backUp('intranet');
    expect(new Set(point.vms.flatMap(({ disks }) => disks.map(({ transportMode }) => transportMode)))).toEqual(new Set(['san']));
    await world.deleteVapp('intranet');
    const before = (await vcenterRequests(world)).length;
    const restored = await world.restore({ restorePointId: point.id, mode: 'missing-vapp' });
    expect(restored).toMatchObject({ state: 'succeeded', error: null, warnings: [] });
    const methods = (await vcenterRequests(world)).slice(before).map(({ method }) => method);
    const order = ['CreateSnapshot_Task', 'open', 'close', 'RevertToSnapshot_Task', 'RemoveSnapshot_Task', 'endAccess'];
    expect(order.map((method) => methods.indexOf(method))).toEqual(
      order.map((method) => methods.indexOf(method)).toSorted((a, b) => a - b),
    );
    expect(order.filter((method) => !methods.includes(method))).toEqual([]);
    const { attributes, disks } = await world.control.compare('before', 'intranet');
    expect(attributes).toEqual([]);
    expect(disks.filter((disk) => disk.differingBytes !== 0 || disk.fileSystem === 'damaged')).toEqual([]);
    await assertNothingLeft(world);
  });

  it('leaves no snapshot behind when writing fails', { timeout: 120_000 }, async () => {
    const [point] = await world.restorePoints();
    await world.deleteVapp('intranet');
    await world.control.addFault({ door: 'vix', method: 'write', effect: 'error', vixError: 8 });
    const failed = await world.restore({ restorePointId: point?.id, mode: 'missing-vapp' });
    expect(failed).toMatchObject({ state: 'failed', error: { code: 'VIX_DISK_FULL' } });
    await assertNothingLeft(world);
  });
});

describe('VDDK over HotAdd', () => {
  let world: World;

  beforeAll(async () => {
    world = await World.start({ environment: { VAPP_VAULT_VDDK_VMWARE_CLOUD: 'true' } });
    await world.register();
    await world.control.addFault({ door: 'vix', method: 'open', effect: 'transport', transport: 'hotadd' });
  });
  afterAll(() => world?.close());

  it('keeps every VM where it is until its snapshot has gone, though Cleanup frees what dead processes held', {
    timeout: 60_000,
  }, async () => {
    const slow = { door: 'vcenter', method: 'RemoveSnapshot_Task', effect: 'delay', delayMs: 1_500, times: 1 };
    await world.control.addFault(slow);
    const before = (await vcenterRequests(world)).length;
    const run = await world.startBackup('shop', { parallelVms: 1 });
    await world.reach(run, 'Remove the snapshots');
    const methods = (await vcenterRequests(world)).slice(before).map(({ method }) => method);
    const vms = methods.filter((method) => method === 'prepareForAccess').length;
    expect(methods.filter((method) => method === 'cleanup')).toHaveLength(vms);
    const { preparedForAccess } = await world.control.state<{ preparedForAccess: unknown[] }>();
    expect(preparedForAccess).toHaveLength(vms);
    expect(vms).toBeGreaterThan(1);
    expect(await world.finish(run)).toMatchObject({ error: null });
    await assertNothingLeft(world);
  });

  it('is all that VMware Cloud is asked for, and is cleaned up after before the snapshot goes', { timeout: 60_000 }, async () => {
    await world.control.addFault({ door: 'vix', method: 'prepareForAccess', effect: 'vixError', vixError: 3014 });
    const before = (await vcenterRequests(world)).length;
    const point = await world.backUp('sandbox', { transport: { modes: ['nbdssl'], fallback: 'allow' } });
    expect(point.vms.flatMap(({ disks }) => disks.map(({ transportMode }) => transportMode))).toEqual(['hotadd']);
    const methods = (await vcenterRequests(world)).slice(before).map(({ method }) => method);
    const order = ['close', 'cleanup', 'RemoveSnapshot_Task', 'endAccess'].map((method) => methods.indexOf(method));
    expect(order).not.toContain(-1);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    await assertNothingLeft(world);
  });
});

async function vcenterRequests(world: World): Promise<VixRequest[]> {
  const answer = await fetch(`${world.simulator.description.control.url}/requests`);
  return ((await answer.json()) as { vcenter: VixRequest[] }).vcenter;
}

/** A disk is open from the answer to its opening until it is asked to be closed. */
function mostOpen(requests: readonly VixRequest[]): number {
  const moments = requests
    .filter(({ outcome }) => outcome === 'ok')
    .flatMap(({ method, startedAt, ms }) => {
      if (method === 'open') return [{ atMs: Date.parse(startedAt) + ms, change: 1 }];
      return method === 'close' ? [{ atMs: Date.parse(startedAt), change: -1 }] : [];
    });
  // startedAt is whole milliseconds: at one moment closing comes first.
  moments.sort((a, b) => a.atMs - b.atMs || a.change - b.change);
  let open = 0;
  let most = 0;
  for (const { change } of moments) {
    open += change;
    most = Math.max(most, open);
  }
  return most;
}

/** vddk-hosts of this process that have shared memory and threads for I/O. */
function hostsReading(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const fields = readFileSync(`/proc/${name}/stat`, 'utf8');
        const [state, parent] = fields.slice(fields.lastIndexOf(')') + 2).split(' ');
        if (!fields.includes('(vddk-host)') || Number(parent) !== process.pid || state === 'Z') return false;
        // Main, reader, the library's four, and one for the open disk.
        return readdirSync(`/proc/${name}/task`).length > 6;
      } catch {
        return false;
      }
    })
    .map(Number);
}
