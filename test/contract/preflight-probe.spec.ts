import { mkdtemp, rm } from 'node:fs/promises';
import * as https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkServer } from '../../src/clouds/preflight/check-server.js';
import { checkVcd } from '../../src/clouds/preflight/check-vcd.js';
import { checkVcenter } from '../../src/clouds/preflight/check-vcenter.js';
import { ServerChecks } from '../../src/clouds/preflight/report.js';
import type { VcdClientApi } from '../../src/vcd/index.js';
import { VsphereError, type VcenterSurveyApi, type VsphereClientApi } from '../../src/vsphere/index.js';
import { type ServerCertificate, serverCertificate } from '../simulator/tls.js';

/** A server's findings as the preflight tells them: over TLS, and of a vCenter in trouble. */
let dataDir: string;
let certificate: ServerCertificate;
let server: https.Server;
let url: string;
const open = new AbortController().signal;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'preflight-'));
  certificate = await serverCertificate(join(dataDir, 'certificate.json'), 'server.sim.local', ['127.0.0.1']);
  server = https.createServer({ cert: certificate.certificatePem, key: certificate.privateKeyPem }, (_, response) => {
    response.writeHead(200, { date: 'Sat, 21 Nov 2026 12:00:00 GMT' }).end('<versions/>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(dataDir, { recursive: true, force: true });
});

const outcomesOf = ({ found }: ServerChecks) => Object.fromEntries(found.map(({ check, outcome }) => [check, outcome]));
const look = async (trust: { thumbprint?: string; caPem?: string }, at = url) => {
  const checks = new ServerChecks(at);
  const probe = await checkServer(checks, { url: at, trust }, '/api/versions', open);
  return { checks, probe };
};

describe('the first look at a server', () => {
  it('tells its certificate, its clock and what it answers without a login', async () => {
    const { checks, probe } = await look({ thumbprint: certificate.thumbprintSha256 });
    expect(outcomesOf(checks)).toEqual({ reachable: 'ok', certificate: 'ok' });
    expect(checks.found[1]?.message).toContain(certificate.thumbprintSha256);
    expect(checks.found[1]?.certificateExpiresAt).toMatch(/^\d{4}-/);
    expect([probe?.serverTime?.toISOString(), probe?.body]).toEqual(['2026-11-21T12:00:00.000Z', '<versions/>']);
  });

  it('tells a stranger’s certificate from a server that is away', async () => {
    const stranger = await look({ thumbprint: 'AB'.repeat(32) });
    expect(outcomesOf(stranger.checks)).toEqual({ reachable: 'ok', certificate: 'failed' });
    expect(stranger.checks.found[1]?.message).toContain(certificate.thumbprintSha256);
    expect(outcomesOf((await look({})).checks)).toEqual({ reachable: 'ok', certificate: 'failed' });
    expect(outcomesOf((await look({}, 'https://127.0.0.1:1')).checks)).toEqual({ reachable: 'failed' });
  });
});

describe('the rights of the account in VCD', () => {
  const facts = { userName: 'root', organization: 'System', roles: ['System Administrator'], isProvider: true };
  const vcenter = { name: 'vc-1', isEnabled: true, isConnected: true, mayImport: true };
  const rightsOf = async (account: object) => {
    const client = { apiVersion: '37.1', account: async () => ({ ...facts, vcenters: [vcenter], ...account }), vimServers: async () => [] };
    const trust = { thumbprint: certificate.thumbprintSha256 };
    const checks = await checkVcd({ url, organization: 'System', trust }, [], async () => client as unknown as VcdClientApi, open);
    const { outcome, message } = checks.found.find(({ check }) => check === 'rights') ?? {};
    return [outcome, message];
  };

  it.each<[string, object, string, RegExp]>([
    [
      'a system administrator',
      {},
      'ok',
      /"root" of organization "System" \(System Administrator\) is a system administrator and may import VMs/,
    ],
    ['a tenant’s administrator', { organization: 'acme', isProvider: false, vcenters: [] }, 'failed', /is no system administrator/],
    ['a vCenter VCD has lost', { vcenters: [{ ...vcenter, isConnected: false }] }, 'failed', /cannot use vCenter "vc-1"/],
    [
      'a role without imports',
      { roles: ['Auditor'], vcenters: [{ ...vcenter, mayImport: false }] },
      'warning',
      /does not offer importing VMs/,
    ],
  ])('%s', async (_, account, outcome, message) => {
    const [found, sentence] = await rightsOf(account);
    expect(found).toBe(outcome);
    expect(sentence).toMatch(message);
  });
});

describe('a vCenter in trouble', () => {
  const refused = (what: string) => new VsphereError(`vCenter refused ${what}.`, { code: 'NO_PERMISSION' });
  const survey = (change: Partial<VcenterSurveyApi>): VsphereClientApi => {
    const sound: VcenterSurveyApi = {
      product: 'vCenter',
      currentTime: async () => new Date(),
      hosts: async () => [],
      datastores: async () => [],
      vms: async function* () {},
      missingPrivileges: async () => [],
    };
    return { apiVersion: '8.0.3.0', survey: { ...sound, ...change } } as unknown as VsphereClientApi;
  };
  const look = (client: VsphereClientApi | VsphereError) => {
    const trust = { thumbprint: certificate.thumbprintSha256 };
    const opened = async () => {
      if (client instanceof VsphereError) throw client;
      return client;
    };
    const ports = { wanted: true, needed: true, signal: open };
    return checkVcenter({ instanceUuid: 'u', url, userName: 'backup', trust }, opened, ports, open);
  };

  it('is one finding where the login is refused: the rest is not guessed at', async () => {
    const outcomes = outcomesOf(await look(refused('the login')));
    expect(outcomes.login).toBe('failed');
    expect(
      new Set(['clock', 'privileges', 'hosts', 'ntp', 'host-ports', 'datastores', 'machines'].map((check) => outcomes[check])),
    ).toEqual(new Set(['skipped']));
  });

  it('is told part by part where it tells some things and not others', async () => {
    const privilege = { id: 'Cryptographer.AddDisk', label: 'Add disk', use: 'disks', on: ['vCenter'] };
    const host = { moRef: 'host-1', name: '127.0.0.1', product: '', ntpServers: [], powerState: 'poweredOn' };
    const checks = await look(
      survey({
        currentTime: async () => new Date(Date.now() - 3_600_000),
        missingPrivileges: async () => [{ ...privilege, purposes: ['encryption'] }],
        hosts: async () => [
          { ...host, connectionState: 'notResponding', inMaintenanceMode: false },
          { ...host, name: 'esx-2', connectionState: 'connected', powerState: 'standBy', inMaintenanceMode: true },
        ],
        datastores: async () => Promise.reject(refused('listing the datastores')),
        vms: async function* () {
          const vm = { moRef: 'vm-1', instanceUuid: undefined, powerState: 'poweredOn', isTemplate: false, hardwareVersion: 'vmx-06' };
          yield [
            { ...vm, name: 'old', connectionState: 'connected', changeTrackingSupported: false, consolidationNeeded: false },
            { ...vm, name: 'lost', connectionState: 'inaccessible', changeTrackingSupported: true, consolidationNeeded: false },
            { ...vm, name: 'split', connectionState: 'connected', changeTrackingSupported: true, consolidationNeeded: true },
          ];
        },
      }),
    );
    expect(outcomesOf(checks)).toMatchObject({
      clock: 'failed',
      privileges: 'warning',
      hosts: 'warning',
      ntp: 'warning',
      'host-ports': 'ok',
      datastores: 'failed',
      machines: 'warning',
    });
    const items = (check: string) =>
      checks.found.find((each) => each.check === check)?.items?.map(({ name, problem }) => `${name}: ${problem}`);
    expect(items('hosts')).toEqual(['127.0.0.1: notResponding', 'esx-2: in maintenance mode']);
    expect(items('machines')).toEqual([
      'old: without change tracking: it is copied in full',
      'lost: inaccessible: it cannot be backed up',
      'split: its disks need consolidation',
    ]);
  });

  it('is failed where a privilege is missing that every backup needs, and where no host is seen', async () => {
    const privilege = { id: 'VirtualMachine.State.CreateSnapshot', label: 'Create snapshot', use: 'snapshots', on: ['vCenter'] };
    const checks = await look(survey({ missingPrivileges: async () => [{ ...privilege, purposes: ['backup'] }] }));
    expect(outcomesOf(checks)).toMatchObject({ privileges: 'failed', hosts: 'failed' });
    expect(checks.found.find(({ check }) => check === 'privileges')?.message).toContain(
      '"Create snapshot" (VirtualMachine.State.CreateSnapshot; backup)',
    );
  });
});
