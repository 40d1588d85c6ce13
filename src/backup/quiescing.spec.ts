import { describe, expect, it } from 'vitest';
import { backupSettingsSchema } from './backup-settings.js';
import { acceptedConsistencies, applicationObstacles, type GuestFacts, quiescePlan, toolsVersion } from './quiescing.js';

const windows: GuestFacts = {
  powerState: 'poweredOn',
  guestId: 'windows2019srv_64Guest',
  tools: { status: 'toolsOk', running: true, version: 12_352 },
  apiVersion: '8.0.2.0',
  storage: { freeScsiUnits: 60, diskUuidEnabled: true, diskBuses: ['scsi', 'scsi'] },
};
const linux: GuestFacts = { ...windows, guestId: 'debian12_64Guest', storage: { ...windows.storage, diskUuidEnabled: false } };
const settings = (change: object = {}) => backupSettingsSchema.parse(change);
const tries = (guest: GuestFacts, change: object) => quiescePlan(guest, settings(change)).tries.map(({ consistency }) => consistency);

describe('acceptedConsistencies', () => {
  it.each([
    [{}, ['application', 'file-system', 'crash']],
    [{ allowCrashConsistent: false }, ['application', 'file-system']],
    [{ quiesce: 'none' }, ['crash']],
    [{ quiesce: 'crash', allowCrashConsistent: false }, ['crash']],
    [{ quiesce: 'application' }, ['application', 'file-system', 'crash']],
    [{ quiesce: 'application', allowCrashConsistent: false }, ['application', 'file-system']],
    [{ quiesce: 'application', quiesceAtLeast: 'file-system' }, ['application', 'file-system']],
    [{ quiesce: 'application', quiesceAtLeast: 'application' }, ['application']],
    [{ quiesce: 'file-system', quiesceAtLeast: 'application' }, ['file-system']],
  ])('of a Windows guest, for %j: %j', (change, expected) => {
    expect(acceptedConsistencies(settings(change), windows)).toEqual(expected);
  });

  it('asks of other guests for their file systems at most', () => {
    expect(acceptedConsistencies(settings({ quiesce: 'application', quiesceAtLeast: 'application' }), linux)).toEqual(['file-system']);
    expect(acceptedConsistencies(settings({ quiesce: 'application' }), linux)).toEqual(['file-system', 'crash']);
  });
});

describe('applicationObstacles', () => {
  it('finds none in a guest as the guide wants it', () => {
    expect(applicationObstacles(windows)).toEqual([]);
  });

  const storage = windows.storage;
  it.each<[string, Partial<GuestFacts>]>([
    ['older than 6.5', { apiVersion: '6.0' }],
    ['VMware Tools 10.0.12 are older than 10.1.0', { tools: { status: 'toolsOld', running: true, version: 10_252 } }],
    ['1 of its disks are on IDE', { storage: { ...storage, diskBuses: ['scsi', 'ide'] } }],
    ['not all of its disks are on SCSI', { storage: { ...storage, diskBuses: ['nvme'] } }],
    ['1 SCSI slots are free and 2 are needed', { storage: { ...storage, freeScsiUnits: 1 } }],
    ['disk.EnableUUID is not set', { storage: { ...storage, diskUuidEnabled: false } }],
  ])('says why not: %s', (words, change) => {
    expect(applicationObstacles({ ...windows, ...change }).join('; ')).toContain(words);
  });
});

describe('quiescePlan', () => {
  const stopped = { status: 'toolsNotRunning', running: false, version: 12_352 };

  it.each<[string, GuestFacts, object, string[]]>([
    ['a Windows guest', windows, { quiesce: 'application' }, ['application', 'file-system', 'crash']],
    [
      'one with a disk on IDE',
      { ...windows, storage: { ...windows.storage, diskBuses: ['ide'] } },
      { quiesce: 'application' },
      ['file-system', 'crash'],
    ],
    ['one without running Tools', { ...windows, tools: stopped }, { quiesce: 'application' }, ['crash']],
    ['one that must be quiesced and cannot', { ...windows, tools: stopped }, { allowCrashConsistent: false }, []],
    ['a suspended VM', { ...windows, powerState: 'suspended' }, {}, ['crash']],
    [
      'a VM that is off, whatever is asked',
      { ...windows, powerState: 'poweredOff', tools: stopped },
      { quiesceAtLeast: 'application' },
      ['crash'],
    ],
    ['another guest', linux, { quiesce: 'application' }, ['file-system', 'crash']],
  ])('tries what can be had of %s', (_, guest, change, expected) => {
    expect(tries(guest, change)).toEqual(expected);
  });

  it('tells VSS what to do, where vCenter and Tools know how to pass it on', () => {
    const vss = { backupType: 'full', bootableSystemState: false, partialFileSupport: true };
    const plan = quiescePlan(windows, settings({ quiesce: 'application', quiesceTimeoutMinutes: 45, vss }));
    expect(plan.tries.map((each) => each.windows)).toEqual([
      { ...vss, context: 'ctx_backup', timeoutMinutes: 45 },
      { ...vss, context: 'ctx_file_share_backup', timeoutMinutes: 45 },
      undefined,
    ]);
    expect(plan.obstacles).toEqual([]);
    const unknown = { ...windows, tools: { status: 'toolsOk', running: true, version: undefined } };
    expect(quiescePlan(unknown, settings()).tries[0]?.windows).toBeUndefined();
    expect(quiescePlan(linux, settings()).tries[0]?.windows).toBeUndefined();
  });

  it('says what is in the way only where something was wished', () => {
    const guest = { ...windows, tools: { status: 'toolsNotInstalled', running: false, version: undefined } };
    expect(quiescePlan(guest, settings()).obstacles).toEqual(['VMware Tools are not installed in the guest']);
    expect(quiescePlan(guest, settings({ quiesce: 'crash' })).obstacles).toEqual([]);
  });
});

describe('toolsVersion', () => {
  it.each([
    [10_272, '10.1.0'],
    [12_389, '12.3.5'],
  ])('reads %d as %s', (version, text) => {
    expect(toolsVersion(version)).toBe(text);
  });
});
