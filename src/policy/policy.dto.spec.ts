import { describe, expect, it } from 'vitest';
import { policyRequestSchema } from './policy.dto.js';

describe('the cron of a policy', () => {
  const faultsOf = (cron: string) => {
    const asked = policyRequestSchema.safeParse({ name: 'house', scope: { cloudId: 'production' }, schedule: { cron } });
    return asked.error?.issues.map(({ path, message }) => `${path.join('.')} ${message}`);
  };
  const FIELDS = 'schedule.cron must be a cron expression of five fields';

  it.each(['30 2 * * *', ' 30  2 * * mon-fri ', '*/20 2 L * ?', '0 2 * * 1#2'])('may be "%s"', (cron) => {
    expect(faultsOf(cron)).toBeUndefined();
  });

  it.each([
    ['a date', '2099-12-01T02:00:00'],
    ['a date and a time', '2099-12-01 02:00:00'],
    ['a nickname', '@daily'],
    ['four fields', '0 2 * *'],
    ['seconds', '0 30 2 * * *'],
    ['an hour that does not come', '0 25 * * *'],
    ['nothing', ''],
  ])('may not be %s', (_what, cron) => {
    expect(faultsOf(cron)).toEqual([expect.stringContaining(FIELDS)]);
  });

  it('must name a time that comes', () => {
    expect(faultsOf('0 3 30 2 *')).toEqual(['schedule.cron must name a time that comes']);
  });
});
