import { describe, expect, it } from 'vitest';
import { backupSettingsSchema } from './backup-settings.js';

describe('backupSettingsSchema', () => {
  it('takes what was frozen before there were settings for VSS and snapshots', () => {
    const frozen = {
      quiesce: 'none',
      allowCrashConsistent: true,
      forceFull: false,
      parallelVms: 2,
      snapshotTimeoutMinutes: 15,
      taskWaitMinutes: 30,
    };
    expect(backupSettingsSchema.parse(frozen)).toMatchObject({
      ...frozen,
      quiesceRetries: 0,
      quiesceTimeoutMinutes: 15,
      parallelSnapshots: 16,
      vss: { backupType: 'copy', bootableSystemState: true, partialFileSupport: false },
    });
  });

  it.each([
    { quiesce: 'always' },
    { quiesceAtLeast: 'none' },
    { quiesceTimeoutMinutes: 4 },
    { quiesceTimeoutMinutes: 241 },
    { quiesceRetries: -1 },
    { parallelSnapshots: 0 },
    { vss: { backupType: 'daily' } },
    { vss: { writers: [] } },
  ])('refuses %j', (settings) => {
    expect(backupSettingsSchema.safeParse(settings).success).toBe(false);
  });
});
