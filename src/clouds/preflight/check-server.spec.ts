import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { VsphereError } from '../../vsphere/index.js';
import { checkClock, checkServer } from './check-server.js';
import { ServerChecks } from './report.js';

const NOW = new Date('2026-11-21T12:00:00Z');
const clock = (offMs: number | undefined, accuracyMs = 0) => {
  const checks = new ServerChecks('https://vcenter');
  checkClock(checks, offMs === undefined ? undefined : new Date(NOW.getTime() + offMs), NOW, accuracyMs);
  return checks.found[0];
};

describe('checkClock', () => {
  it.each([
    [0, 'ok'],
    [-29_000, 'ok'],
    [31_000, 'warning'],
    [-299_000, 'warning'],
    [301_000, 'failed'],
    [-86_400_000, 'failed'],
  ])('takes a clock %i ms off for %s', (offMs, outcome) => {
    expect(clock(offMs)).toMatchObject({ check: 'clock', outcome, clockDifferenceMs: offMs });
  });

  it('does not blame a clock for what its word leaves open', () => {
    expect(clock(31_000, 1_000)?.outcome).toBe('ok');
    expect(clock(31_001, 1_000)?.outcome).toBe('warning');
  });

  it('says which clock is behind, and that a server tells no time', () => {
    expect(clock(-60_000)?.message).toBe('Its clock is 60.0 s behind this worker’s: set both by NTP.');
    expect(clock(60_000)?.message).toContain('60.0 s ahead of');
    expect(clock(undefined)?.outcome).toBe('skipped');
  });
});

describe('checkServer', () => {
  it('of a server that cannot be asked fails, and what it skips for that names the server and what to put right', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await new Promise((resolve) => server.close(resolve));
    const checks = new ServerChecks(url);
    expect(await checkServer(checks, { url, trust: {} }, '/', new AbortController().signal, ['login', 'clock'])).toBeUndefined();
    expect(checks.found.map(({ check, outcome }) => [check, outcome])).toEqual([
      ['reachable', 'failed'],
      ['login', 'skipped'],
      ['clock', 'skipped'],
    ]);
    expect(checks.found[1]?.message).toBe(`Not looked at, because the check "reachable" at ${url} failed: put that right, and ask again.`);
  });
});

describe('ServerChecks', () => {
  const open = new AbortController().signal;

  it('turns what a server refuses into a finding, and nothing else', async () => {
    const checks = new ServerChecks('https://vcenter');
    const refused = new VsphereError('vCenter refused listing the hosts.', { code: 'NO_PERMISSION' });
    expect(await checks.attempt('hosts', open, () => Promise.reject(refused))).toBeUndefined();
    expect(checks.found).toEqual([{ server: 'https://vcenter', check: 'hosts', outcome: 'failed', message: refused.message }]);
    await expect(checks.attempt('hosts', open, () => Promise.reject(new TypeError('a fault of ours')))).rejects.toThrow('a fault of ours');
  });

  it('says of what the deadline cut off that it was not finished', async () => {
    const checks = new ServerChecks('https://vcenter');
    await checks.attempt('machines', AbortSignal.abort(), () => Promise.reject(new Error('aborted')));
    expect(checks.found[0]).toMatchObject({ outcome: 'failed', message: 'There was not time enough for this check; ask again.' });
  });

  it('keeps a list of very many within bounds', () => {
    const checks = new ServerChecks('https://vcenter');
    checks.add('machines', 'warning', 'Many.', {
      items: Array.from({ length: 5_000 }, (_, n) => ({ name: `vm ${n}`, problem: 'inaccessible' })),
    });
    expect(checks.found[0]?.items).toHaveLength(100);
  });
});
