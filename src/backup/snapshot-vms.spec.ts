import { describe, expect, it } from 'vitest';
import { MIB, silentLogger, sleep } from '../common/index.js';
import { type NewSnapshot, type SnapshotNode, VsphereError } from '../vsphere/index.js';
import { backupSettingsSchema } from './backup-settings.js';
import { SNAPSHOT_DESCRIPTION } from './ready-vm.js';
import { type LocatedVm, snapshotVms } from './snapshot-vms.js';

const STARTED = new Date('2026-05-01T12:00:00Z');

interface FakeVm {
  guestId?: string;
  powerState?: string;
  toolsRunning?: boolean;
  snapshots?: Partial<SnapshotNode>[];
  disks?: object[];
  /** What vCenter makes of a request. */
  create?: (request: NewSnapshot) => Promise<Partial<SnapshotNode>>;
  file?: Buffer;
}

const CONFIG = `<config><hardware><device xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="ParaVirtualSCSIController"><key>1000</key></device>
  <device xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="VirtualDisk"><key>2000</key><controllerKey>1000</controllerKey></device></hardware>
  <extraConfig><key>disk.enableUUID</key><value>true</value></extraConfig></config>`;
const refused = (faultType: string) => new VsphereError('The guest did not freeze.', { code: 'QUIESCE_FAILED', faultType });
const zipOf = (names: string[]) => {
  const entries = names.map((name) => {
    const head = Buffer.alloc(46);
    head.writeUInt32LE(0x02014b50, 0);
    head.writeUInt16LE(name.length, 28);
    return Buffer.concat([head, Buffer.from(name)]);
  });
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(names.length, 10);
  return Buffer.concat([...entries, end]);
};

function setUp(vms: Record<string, FakeVm>, settings: object = {}) {
  const requests: string[] = [];
  const removed: string[] = [];
  const warnings: string[] = [];
  const downloads: string[] = [];
  const stop = new AbortController();
  const located = Object.entries(vms).map(([name, vm]) => {
    const vcenter = {
      instanceUuid: 'vc',
      apiVersion: '8.0.2.0',
      async createSnapshot(_moRef: string, request: NewSnapshot, signal?: AbortSignal) {
        expect(signal).toBeUndefined();
        requests.push(`${name} ${request.quiesce ? (request.windows?.context ?? 'quiesce') : 'crash'}`);
        const made = await (vm.create?.(request) ?? Promise.resolve({}));
        return { moRef: `snapshot-of-${name}`, createdAt: STARTED.toISOString(), quiesced: request.quiesce, id: 3, ...made };
      },
      removeSnapshot: async (_moRef: string, snapshot: string) => void removed.push(snapshot),
      downloadFile: async (path: string) => {
        downloads.push(path);
        if (vm.file === undefined) throw new VsphereError('There is no such file.', { code: 'NOT_FOUND' });
        return vm.file;
      },
    };
    const configuration = {
      moRef: name,
      name,
      instanceUuid: `uuid-${name}`,
      guestId: vm.guestId ?? 'debian12_64Guest',
      powerState: vm.powerState ?? 'poweredOn',
      tools: { status: 'toolsOk', running: vm.toolsRunning ?? true, version: 12_352 },
      snapshots: vm.snapshots ?? [],
      disks: vm.disks ?? [],
      changeTrackingEnabled: true,
      changeTrackingSupported: true,
      vmPath: `[ds] ${name}/${name}.vmx`,
      snapshotDirectory: `[ds] ${name}/`,
      configXml: CONFIG,
    };
    return { captured: { name }, vcenter, vcenterName: 'vc', configuration } as unknown as LocatedVm;
  });
  const taking = () =>
    snapshotVms(located, {
      cloud: { cloudId: 'c' } as never,
      settings: backupSettingsSchema.parse(settings),
      restorePointId: 'rp',
      startedAt: STARTED,
      obligations: { owe: async () => ({ id: 'o' }) as never },
      owedByLivingRun: async (name) => name.endsWith('living'),
      warn: (message) => void warnings.push(message),
      log: silentLogger,
      signal: stop.signal,
    });
  return { taking, requests, removed, warnings, downloads, stop };
}

describe('snapshotVms', () => {
  it('that is aborted while vCenter makes a snapshot rests only when the snapshot is there to be removed', async () => {
    const made: string[] = [];
    const { taking, requests, stop } = setUp({
      web: { powerState: 'poweredOff', create: () => sleep(60).then(() => ({ id: made.push('web') })) },
    });
    const waiting = taking();
    for (let looks = 0; requests.length === 0 && looks < 200; looks += 1) await sleep(5);
    stop.abort();
    await expect(waiting).rejects.toThrow();
    expect(made).toEqual(['web']);
  });

  it('takes those that are not quiesced after those that are, and answers in the order of the vApp', async () => {
    const events: string[] = [];
    const slow = (name: string) => () => sleep(30).then(() => ({ id: events.push(name) }));
    const vms = { off: { powerState: 'poweredOff' }, a: { create: slow('a') }, b: { create: slow('b') } };
    const { taking, requests, warnings } = setUp(vms);
    const taken = await taking();
    expect(taken.map(({ configuration }) => configuration.name)).toEqual(['off', 'a', 'b']);
    expect(requests.at(-1)).toBe('off crash');
    expect(taken.map(({ quiescing }) => quiescing.achieved)).toEqual(['powered-off', 'file-system', 'file-system']);
    expect(warnings).toEqual([]);
  });

  it('takes no more at once than it may', async () => {
    let running = 0;
    let most = 0;
    const create = async () => {
      running += 1;
      most = Math.max(most, running);
      await sleep(10);
      running -= 1;
      return {};
    };
    const { taking } = setUp(Object.fromEntries(['a', 'b', 'c', 'd', 'e'].map((name) => [name, { create }])), { parallelSnapshots: 2 });
    await taking();
    expect(most).toBe(2);
  });

  it('removes its own leftovers, and tells of what somebody else made', async () => {
    const old = '2026-04-30T00:00:00Z';
    const leftover = { name: 'vApp Vault 1', description: SNAPSHOT_DESCRIPTION, createdAt: old };
    const { taking, removed, warnings } = setUp({
      web: {
        snapshots: [
          { moRef: 's-1', ...leftover },
          { moRef: 's-2', ...leftover, name: 'vApp Vault of another living' },
          { moRef: 's-3', ...leftover, createdAt: '2026-05-01T12:00:01Z' },
          { moRef: 's-4', ...leftover, description: 'before the upgrade' },
          { moRef: 's-5', name: 'nightly', description: SNAPSHOT_DESCRIPTION, createdAt: old },
        ],
      },
    });
    const [web] = await taking();
    expect(removed).toEqual(['s-1']);
    expect(web?.foreignSnapshots.map(({ name }) => name)).toEqual([
      'vApp Vault of another living',
      'vApp Vault 1',
      'vApp Vault 1',
      'nightly',
    ]);
    expect(warnings).toEqual([expect.stringMatching(/"web" has snapshots of somebody else.*"nightly"/)]);
  });
});

describe('what was achieved', () => {
  const guestId = 'windows2019srv_64Guest';
  const manifest = '[ds] win/win-vss_manifests3.zip';

  it('is read from what VSS left', async () => {
    const file = zipOf(['backup.xml', 'writer0.xml']);
    const { taking, requests, downloads, warnings } = setUp(
      { win: { guestId, file, create: async () => ({ backupManifest: manifest }) } },
      { quiesce: 'application' },
    );
    const [win] = await taking();
    expect(requests).toEqual(['win ctx_backup']);
    expect(downloads).toEqual([manifest]);
    expect(win).toMatchObject({
      vssManifest: file,
      quiescing: { wished: 'application', achieved: 'application', obstacles: [], failures: [], tools: { version: '12.2.0' } },
    });
    expect(warnings).toEqual([]);
  });

  it('is less than was asked for when only the backup components document is there', async () => {
    const { taking, warnings } = setUp({ win: { guestId, file: zipOf(['backup.xml']) } }, { quiesce: 'application' });
    const [win] = await taking();
    expect(win?.quiescing.achieved).toBe('file-system');
    expect(warnings).toEqual([
      expect.stringContaining('file systems only, not for its applications: vCenter gave no reason (dynamic disks'),
    ]);
    const strict = setUp({ win: { guestId, file: zipOf(['backup.xml']) } }, { quiesce: 'application', quiesceAtLeast: 'application' });
    await expect(strict.taking()).rejects.toMatchObject({ code: 'QUIESCE_INSUFFICIENT' });
  });

  it('is warned of when what VSS left is no manifest', async () => {
    const create = async () => ({ backupManifest: manifest });
    const { taking, warnings } = setUp({ win: { guestId, file: Buffer.alloc(0), create } }, { quiesce: 'file-system' });
    expect((await taking())[0]?.vssManifest).toBeUndefined();
    expect(warnings).toEqual([expect.stringContaining(`VM "win" could not be read: ${manifest} has 0 bytes`)]);
    const lookedFor = setUp({ win: { guestId, file: Buffer.alloc(0) } }, { quiesce: 'file-system' });
    await lookedFor.taking();
    expect(lookedFor.warnings).toEqual([]);
    // Larger than any that VSS makes: not carried into the restore point.
    const huge = setUp({ win: { guestId, file: Buffer.alloc(64 * MIB + 1), create } }, { quiesce: 'file-system' });
    expect((await huge.taking())[0]?.vssManifest).toBeUndefined();
    expect(huge.warnings).toEqual([expect.stringContaining(`could not be read: ${manifest} has ${64 * MIB + 1} bytes`)]);
  });

  it('goes down the chain as far as is accepted, after as many tries as are set', async () => {
    const create = async ({ quiesce }: NewSnapshot) => (quiesce ? Promise.reject(refused('ApplicationQuiesceFault')) : {});
    const { taking, requests, warnings } = setUp({ win: { guestId, create } }, { quiesce: 'application', quiesceRetries: 1 });
    const [win] = await taking();
    expect(requests).toEqual(['win ctx_backup', 'win ctx_backup', 'win ctx_file_share_backup', 'win ctx_file_share_backup', 'win crash']);
    expect(win?.quiescing).toMatchObject({ achieved: 'crash', failures: Array(4).fill('The guest did not freeze.') });
    expect(warnings).toEqual([expect.stringContaining('as after a power cut')]);
    const strict = setUp({ win: { guestId, create } }, { quiesce: 'application', allowCrashConsistent: false });
    await expect(strict.taking()).rejects.toMatchObject({ code: 'QUIESCE_FAILED' });
    expect(strict.requests).toEqual(['win ctx_backup', 'win ctx_file_share_backup']);
  });

  it('says beforehand why a guest cannot be quiesced, and does not ask vCenter for what it would ignore', async () => {
    const { taking, requests, warnings } = setUp({ web: { toolsRunning: false } });
    const [web] = await taking();
    expect(requests).toEqual(['web crash']);
    expect(web?.quiescing).toMatchObject({
      wished: 'file-system',
      achieved: 'crash',
      obstacles: [expect.stringContaining('VMware Tools are not running')],
    });
    expect(warnings).toEqual([expect.stringContaining('VMware Tools are not running')]);
    await expect(setUp({ web: { toolsRunning: false } }, { quiesceAtLeast: 'file-system' }).taking()).rejects.toMatchObject({
      code: 'QUIESCE_IMPOSSIBLE',
    });
  });

  it('is not what vCenter says it did not do', async () => {
    const { taking, warnings } = setUp({ web: { create: async () => ({ quiesced: false }) } });
    expect((await taking())[0]?.quiescing.achieved).toBe('crash');
    expect(warnings).toHaveLength(1);
  });

  it('says which disks keep vCenter from any snapshot', async () => {
    const fault = new VsphereError('An error occurred.', { code: 'GENERIC_VM_CONFIG_FAULT', faultType: 'GenericVmConfigFault' });
    const disk = { deviceKey: 2000, label: 'Hard disk 1', diskMode: 'persistent', sharing: 'sharingMultiWriter' };
    const { taking, warnings } = setUp({ web: { disks: [disk], create: () => Promise.reject(fault) } });
    await expect(taking()).rejects.toBe(fault);
    expect(warnings).toEqual([expect.stringMatching(/can have no snapshot.*Hard disk 1 .*multi-writer/)]);
    // Also where no try without quiescing is accepted that would show it.
    const strict = setUp({ web: { disks: [disk], create: () => Promise.reject(fault) } }, { allowCrashConsistent: false });
    await expect(strict.taking()).rejects.toBe(fault);
    expect(strict.warnings).toEqual(warnings);
  });

  it('lets other failures of a snapshot be failures', async () => {
    const full = new VsphereError('No space left.', { code: 'NO_DISK_SPACE', faultType: 'NoDiskSpace' });
    await expect(setUp({ web: { create: () => Promise.reject(full) } }).taking()).rejects.toBe(full);
  });
});
