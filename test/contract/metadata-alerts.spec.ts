import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MetadataAlerts } from '../../src/policy/index.js';
import { CLOUD, PolicyVault } from './policies-fixture.js';

const NOON = '2026-11-20T12:00:00Z';
const choosing = {
  scope: { metadata: [{ key: 'backup', type: 'MetadataStringValue', value: 'gold' }] },
  schedule: { cron: '0 2 * * *', timeZone: 'UTC', spreadMinutes: 0 },
};

describe('metadata that cannot be read', () => {
  let vault: PolicyVault;
  beforeAll(async () => {
    vault = await PolicyVault.start({ now: NOON, services: 1, vapps: 2 });
  });
  afterAll(() => vault?.close());
  beforeEach(() => vault.reset(NOON));

  const firing = () => vault.service(MetadataAlerts).firing();
  const tries = async (count: number) => {
    for (let left = count; left > 0; left -= 1) {
      // As often as the fixture's settings have it.
      vault.clock.forward(2 * 60_000);
      await vault.rounds();
      await vault.refreshMetadata();
    }
  };
  const pass = (minutes: number) =>
    vault.query(`UPDATE metadata_reads SET asked_at = asked_at - $1 * interval '1 minute', read_at = read_at - $1 * interval '1 minute'`, [
      minutes,
    ]);

  it('are told after an hour and three tries, with what waits for them, until they are read', async () => {
    const policy = await vault.create(choosing);
    vault.vcdAnswers = false;
    await tries(3);
    expect(await firing()).toEqual([]);
    await pass(64);
    expect(await firing()).toMatchObject([
      {
        ...{ key: CLOUD, severity: 'warning', organizationId: '', subject: 'cloud "production"' },
        message: expect.stringMatching(
          /^The metadata in cloud "production" .* and never read, so .*, and no restore point of that cloud is deleted until .*: The VCD does not answer$/,
        ),
        details: { retentionWaits: true },
      },
    ]);
    vault.vcdAnswers = true;
    await tries(1);
    expect(await firing()).toEqual([]);
    vault.vcdAnswers = false;
    await tries(2);
    await pass(1_500);
    // What a look after an outage finds: the next try may go well.
    expect(await firing()).toEqual([]);
    await tries(1);
    expect(await firing()).toMatchObject([
      {
        severity: 'critical',
        message: expect.stringMatching(/ were read last at .*, so policies do not follow what has changed there; look at/),
      },
    ]);
    await vault.one.policies.remove(policy.id);
    expect(await firing()).toEqual([]);
  });

  it('are told where each try dies with its process', async () => {
    await vault.create(choosing);
    vault.vcdAnswers = false;
    await tries(3);
    await vault.query('UPDATE metadata_reads SET error = NULL');
    await pass(64);
    expect(await firing()).toMatchObject([{ message: expect.stringMatching(/: 3 tries were begun and none has ended; look at the log/) }]);
  });

  it('are nobody’s matter in a cloud that is not registered any more', async () => {
    await vault.create(choosing);
    vault.vcdAnswers = false;
    await tries(3);
    await pass(64);
    vault.registered.delete(CLOUD);
    expect(await firing()).toEqual([]);
    await tries(1);
    expect(await vault.query('SELECT tries FROM metadata_reads')).toEqual([{ tries: 3 }]);
  });
});
