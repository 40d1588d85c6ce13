import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PRIVILEGES } from '../../src/vsphere/index.js';
import { World } from './world.js';

/** GET /clouds/:id/preflight against the simulated cloud. Its ESXi hosts have names nobody resolves. */
interface Check {
  server: string;
  check: string;
  outcome: string;
  message: string;
  missingPrivileges?: { id: string; label: string; purposes: string[]; on: string[] }[];
  items?: { name: string; problem: string }[];
  clockDifferenceMs?: number;
}
interface Report {
  ready: boolean;
  checks: Check[];
}

const LACKING = {
  userName: 'lacking@vsphere.local',
  password: 'Lack5-privileges!',
  without: ['VirtualMachine.State.CreateSnapshot', 'Cryptographer.AddDisk'],
};
const EXACT = { userName: 'exact@vsphere.local', password: 'Exactly-th0se!', privileges: PRIVILEGES.map(({ id }) => id) };
let world: World;
let cloudId: string;

beforeAll(async () => {
  world = await World.start({ vcenterAccounts: [LACKING, EXACT] });
  cloudId = await world.register();
});
afterAll(() => world?.close());

const preflight = (query = '') => world.api.get<Report>(`/api/v1/clouds/${cloudId}/preflight${query}`);
const logInAs = async ({ userName, password }: { userName: string; password: string }) => {
  const { instanceUuid } = world.simulator.description.vcenter;
  const body = JSON.stringify({ vcenters: [{ instanceUuid, userName, password }] });
  const headers = { authorization: `Bearer ${world.apiKey}`, 'content-type': 'application/json' };
  expect((await fetch(`${world.url}/api/v1/clouds/${cloudId}`, { method: 'PATCH', headers, body })).status).toBe(200);
};
const outcomes = (report: Report) => Object.fromEntries(report.checks.map(({ server, check, outcome }) => [`${server} ${check}`, outcome]));

describe('the preflight', () => {
  it('finds a cloud ready, and says what it looked at', async () => {
    const report = await preflight('?hostPorts=false');
    const { vcd, vcenter } = world.simulator.description;
    expect(report.checks.filter(({ outcome }) => outcome === 'failed')).toEqual([]);
    expect(report.ready).toBe(true);
    expect(outcomes(report)).toMatchObject({
      'worker vddk': 'ok',
      'worker transport-modes': 'ok',
      [`${vcd.url} reachable`]: 'ok',
      [`${vcd.url} certificate`]: 'ok',
      [`${vcd.url} clock`]: 'ok',
      [`${vcd.url} api-version`]: 'ok',
      [`${vcd.url} login`]: 'ok',
      [`${vcd.url} rights`]: 'ok',
      [`${vcd.url} vcenters`]: 'ok',
      [`${vcenter.url} api-version`]: 'ok',
      [`${vcenter.url} clock`]: 'ok',
      [`${vcenter.url} privileges`]: 'ok',
      [`${vcenter.url} hosts`]: 'ok',
      [`${vcenter.url} ntp`]: 'skipped',
      [`${vcenter.url} host-ports`]: 'skipped',
      [`${vcenter.url} machines`]: 'ok',
    });
    const message = (check: string) => report.checks.find((each) => each.check === check)?.message;
    expect(message('vddk')).toMatch(/^VDDK .+ loads from .+libvixDiskLib/);
    expect(message('rights')).toContain('System Administrator');
    expect(message('machines')).toMatch(/^\d+ VMs\.$/);
  });

  it('shares its session with the runs: one login serves preflights and the backup of every disk of a vApp', async () => {
    const logins = async () => {
      const answer = await fetch(`${world.simulator.description.control.url}/requests`);
      const { vcenter } = (await answer.json()) as { vcenter: { method: string; outcome: string }[] };
      return vcenter.filter(({ method }) => method === 'Login').length;
    };
    const before = await logins();
    await world.backUp('shop');
    await preflight('?hostPorts=false');
    // The registration tried the login and logged out; the first preflight logged in, and that session goes on.
    expect([before, await logins()]).toEqual([2, 2]);
  });

  it('names hosts whose disks it could not reach over nbdssl', async () => {
    const report = await preflight();
    const ports = report.checks.find(({ check }) => check === 'host-ports');
    expect([report.ready, ports?.outcome]).toEqual([false, 'failed']);
    expect(ports?.items?.map(({ name }) => name).sort()).toEqual(['esx-01.sim.local', 'esx-02.sim.local']);
    expect(ports?.items?.[0]?.problem).toMatch(/^its name does not resolve/);
  });

  it('is content with an account that has exactly the privileges of the table, and so is a backup', async () => {
    await logInAs(EXACT);
    const report = await preflight('?hostPorts=false');
    expect(report.checks.find(({ check }) => check === 'privileges')).toMatchObject({ outcome: 'ok', missingPrivileges: [] });
    await world.backUp('intranet');
  });

  it('names each missing privilege and what it is for, before a backup fails by it', async () => {
    await logInAs(LACKING);
    const report = await preflight('?hostPorts=false');
    const privileges = report.checks.find(({ check }) => check === 'privileges');
    expect([report.ready, privileges?.outcome]).toEqual([false, 'failed']);
    expect(privileges?.missingPrivileges?.map(({ id, purposes }) => [id, purposes])).toEqual([
      ['VirtualMachine.State.CreateSnapshot', ['backup', 'restore']],
      ['Cryptographer.AddDisk', ['encryption']],
    ]);
    expect(privileges?.message).toContain('"Virtual machine > Create snapshot"');
    const run = await world.finish(await world.startBackup('intranet'));
    expect(run.error?.message).toContain('"Virtual machine > Create snapshot"');
    expect(await world.openObligations()).toEqual([]);
  });

  it('is of a cloud that is there, and takes no other query', async () => {
    const headers = { authorization: `Bearer ${world.apiKey}` };
    expect((await fetch(`${world.url}/api/v1/clouds/none/preflight`, { headers })).status).toBe(404);
    expect((await fetch(`${world.url}/api/v1/clouds/${cloudId}/preflight?hostPorts=perhaps`, { headers })).status).toBe(422);
  });
});
