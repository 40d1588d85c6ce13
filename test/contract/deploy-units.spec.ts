import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ENVIRONMENT, loadConfig } from '../../src/config/index.js';
import { callsAtOnce } from '../../src/repository/stores/folder-calls.js';

const root = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');

/** Read outside the configuration by main.ts, and by Node itself. */
const BESIDE = ['VAPP_VAULT_CONFIG', 'VAPP_VAULT_INITIAL_API_KEY', 'NODE_ENV', 'UV_THREADPOOL_SIZE'];
const SERVICES: Record<string, string> = {
  'vapp-vault.service': 'all',
  'vapp-vault-api.service': 'api',
  'vapp-vault-worker@.service': 'worker',
};
const REBUILD = 'vapp-vault-rebuild-catalog.service';
/** Where the documents say the clone goes. */
const INSTALLED = '/opt/vapp-vault/';

type Unit = Record<string, Record<string, string[]>>;

/** Enough of systemd.syntax(7) for these files: sections, repeated keys, comments. @throws on a line that is none of them. */
function parseUnit(text: string): Unit {
  const unit: Unit = {};
  let section: Record<string, string[]> | undefined;
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const heading = /^\[(\w+)\]$/.exec(line)?.[1];
    if (heading !== undefined) {
      section = unit[heading] ??= {};
      continue;
    }
    const [, key, value] = /^([A-Z]\w+)=(.*)$/.exec(line) ?? [];
    if (key === undefined || value === undefined || section === undefined) throw new Error(`not a line of a unit: ${line}`);
    section[key] = [...(section[key] ?? []), value];
  }
  return unit;
}

const unitFiles = readdirSync(new URL('deploy/systemd/', root)).filter((name) => name.endsWith('.service'));
const units = new Map(unitFiles.map((name) => [name, parseUnit(read(`deploy/systemd/${name}`))]));
const value = (name: string, key: string, section = 'Service') => units.get(name)?.[section]?.[key]?.at(-1);

function environmentOf(name: string): Record<string, string> {
  const assignments = units.get(name)?.Service?.Environment ?? [];
  return Object.fromEntries(assignments.map((text) => text.replace(/^"(.*)"$/, '$1')).map((text) => text.split(/=(.*)/s).slice(0, 2)));
}

/** Of the file of settings: what it sets, comments left out. */
const settings = Object.fromEntries(
  read('deploy/systemd/vapp-vault.env')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(/=(.*)/s).slice(0, 2)),
) as Record<string, string>;

describe('the units in deploy/systemd', () => {
  it('are one for each role, and one for the rebuilding of the catalog', () => {
    expect(unitFiles.toSorted()).toEqual([...Object.keys(SERVICES), REBUILD].toSorted());
    for (const [name, role] of Object.entries(SERVICES)) expect(environmentOf(name).VAPP_VAULT_ROLE, name).toBe(role);
  });

  it('start files that this clone builds', () => {
    for (const name of unitFiles) {
      const [node, flag, script, ...rest] = value(name, 'ExecStart')?.split(' ') ?? [];
      expect([node, flag], name).toEqual(['/usr/bin/node', '--enable-source-maps']);
      expect(rest, name).toEqual(name === REBUILD ? ['rebuild'] : []);
      const source = script?.replace(INSTALLED, '').replace(/^dist\/(.*)\.js$/, '$1.ts') ?? '';
      expect(existsSync(new URL(source, root)), `${name}: ${source}`).toBe(true);
      const page = value(name, 'Documentation', 'Unit')?.replace(`file:${INSTALLED}`, '') ?? '';
      expect(existsSync(new URL(page, root)), page).toBe(true);
    }
  });

  it('set what the service knows, and make a configuration that it takes', () => {
    const known = new Set([...Object.keys(ENVIRONMENT), ...BESIDE]);
    const documented = read('docs/operations.md');
    for (const name of unitFiles) {
      const environment = { ...environmentOf(name), ...settings };
      for (const variable of Object.keys(environment)) {
        expect(known.has(variable), variable).toBe(true);
        if (variable !== 'NODE_ENV') expect(documented).toContain(`\`${variable}\``);
      }
      // The database is in secrets.json, which systemd alone brings.
      const { VAPP_VAULT_CONFIG: _, ...plain } = environment;
      const config = loadConfig({ ...plain, VAPP_VAULT_DATABASE_URL: 'postgres:///vapp_vault' }, '/var/lib/vapp-vault');
      expect(config.role, name).toBe(SERVICES[name] ?? 'all');
      expect(config.dataDir).toBe('/var/lib/vapp-vault');
    }
    // A role in the common file would win over the units'.
    expect(settings).not.toHaveProperty('VAPP_VAULT_ROLE');
  });

  it('give Node threads that two folders which hang leave to names and other files', () => {
    for (const name of unitFiles) {
      const threads = Number(environmentOf(name).UV_THREADPOOL_SIZE);
      // More at once than a process has without the setting.
      expect(callsAtOnce(threads), name).toBeGreaterThan(4);
      expect(threads - 2 * callsAtOnce(threads), name).toBeGreaterThanOrEqual(4);
    }
  });

  it('take secrets as credentials and have none in themselves', () => {
    for (const name of unitFiles) {
      const service = units.get(name)?.Service ?? {};
      const credentials = (service.LoadCredential ?? []).map((text) => text.split(':')[0]);
      expect(credentials, name).toEqual(['master.key', 'secrets.json']);
      const environment = environmentOf(name);
      expect(environment.VAPP_VAULT_MASTER_KEY_COMMAND).toBe('cat %d/master.key');
      expect(environment.VAPP_VAULT_CONFIG).toBe('%d/secrets.json');
      for (const secret of ['VAPP_VAULT_MASTER_KEY', 'VAPP_VAULT_INITIAL_API_KEY', 'VAPP_VAULT_DATABASE_URL']) {
        expect({ ...environment, ...settings }).not.toHaveProperty(secret);
      }
      expect(service.User).toEqual(['vapp-vault']);
    }
  });

  it('give a stop the time that the service takes for it, and leave the stopping of its children to it', () => {
    const graceSeconds = Number(/STOP_TIMEOUT_MS = ([\d_]+)/.exec(read('src/main.ts'))?.[1]?.replaceAll('_', '')) / 1000;
    const drainSeconds = loadConfig(settings, '/').shutdown.drainMs / 1000;
    for (const name of Object.keys(SERVICES)) {
      expect(Number(value(name, 'TimeoutStopSec')), name).toBeGreaterThan(drainSeconds + graceSeconds);
      expect(value(name, 'KillMode'), name).toBe('mixed');
      expect(value(name, 'Restart'), name).toBe('on-failure');
      // Else ten tries, and a database that comes back an hour later finds no service.
      expect(value(name, 'StartLimitIntervalSec', 'Unit'), name).toBe('0');
    }
  });

  it('confine all processes alike, and let V8 compile', () => {
    const confinement = (name: string) => {
      const service = units.get(name)?.Service ?? {};
      return Object.fromEntries(
        Object.entries(service).filter(([key]) => /^(Protect|Private|Restrict|SystemCall|NoNew|Lock|Capab|ReadW)/.test(key)),
      );
    };
    const [first = '', ...others] = unitFiles;
    expect(confinement(first)).toMatchObject({
      NoNewPrivileges: ['yes'],
      ProtectSystem: ['strict'],
      SystemCallFilter: ['@system-service'],
    });
    for (const name of others) expect(confinement(name), name).toEqual(confinement(first));
    for (const name of unitFiles) expect(units.get(name)?.Service).not.toHaveProperty('MemoryDenyWriteExecute');
  });

  it('have a drop-in for SAN and HotAdd that takes back what these need, and nothing the units do not have', () => {
    const { Service: dropIn = {} } = parseUnit(read('deploy/systemd/block-devices.conf'));
    expect(dropIn).toMatchObject({ User: ['root'], PrivateDevices: ['no'] });
    const worker = units.get('vapp-vault-worker@.service')?.Service ?? {};
    for (const key of Object.keys(dropIn)) expect(worker, key).toHaveProperty(key);
  });

  it('run as the user that the sysusers file makes', () => {
    expect(read('deploy/systemd/vapp-vault.sysusers.conf')).toMatch(/^u vapp-vault - ".+" \/var\/lib\/vapp-vault \/usr\/sbin\/nologin$/m);
  });
});
