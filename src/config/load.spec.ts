import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigError } from './errors.js';
import { loadConfig } from './load.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'vapp-vault-config-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(content: unknown): string {
  const path = join(folder, 'config.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

function faultsOf(environment: NodeJS.ProcessEnv): readonly string[] {
  try {
    loadConfig(environment, '/srv');
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

describe('loadConfig', () => {
  it('has a working default for everything, with paths below the data folder', () => {
    const config = loadConfig({ HOME: '/root' }, '/srv/vault');
    expect(config).toMatchObject({
      role: 'all',
      dataDir: '/srv/vault/data',
      http: { host: '127.0.0.1', port: 8080 },
      database: { url: undefined },
      masterKey: { path: '/srv/vault/data/keys/master.key', makeIfMissing: true },
      repository: { kind: 'folder', path: '/srv/vault/data/repository' },
      vddk: { libraryDir: undefined, temporaryDir: '/srv/vault/data/vddk', transportModes: 'nbdssl:nbd', maxRequestBytes: 2_097_152 },
    });
  });

  it('takes the environment over the file, and reads paths from where they were written', () => {
    const path = file({ http: { port: 9001, host: '0.0.0.0' }, dataDir: 'here', vddk: { libraryDir: '/opt/vddk', ioDepth: 7 } });
    const config = loadConfig(
      { VAPP_VAULT_CONFIG: path, VAPP_VAULT_PORT: '0', VAPP_VAULT_REPOSITORY_PATH: 'repo', VAPP_VAULT_LOG_LEVEL: '' },
      '/srv',
    );
    expect(config.http).toEqual({ host: '0.0.0.0', port: 0 });
    expect(config.dataDir).toBe(join(folder, 'here'));
    expect(config.repository.path).toBe('/srv/repo');
    expect(config.vddk).toMatchObject({ libraryDir: '/opt/vddk', ioDepth: 7 });
    expect(config.logLevel).toBe('info');
  });

  it('is frozen all the way down', () => {
    const config = loadConfig({}, '/srv');
    expect(() => Object.assign(config.http, { port: 1 })).toThrow(TypeError);
  });

  it('names every fault at once, in sentences', () => {
    const path = file({ limits: { disksPerRun: 0, disks: 3 }, lease: 'long', typo: 1 });
    const faults = faultsOf({
      VAPP_VAULT_CONFIG: path,
      VAPP_VAULT_PORT: 'http',
      VAPP_VAULT_ROLE: 'boss',
      VAPP_VAULT_DATABASE_URL: 'mysql://u:sesame@db/x',
      VAPP_VAULT_PROT: '1',
      VAPP_VAULT_VDDK_TRANSPORT_MODES: 'nbdssl,nbd',
    });
    expect(faults).toHaveLength(9);
    expect(faults).toEqual(
      expect.arrayContaining([
        'VAPP_VAULT_PROT is not a setting of vApp Vault.',
        'VAPP_VAULT_PORT must be a whole number from 0 to 65535, not "http".',
        'VAPP_VAULT_ROLE must be one of all, api, worker, not "boss".',
        'VAPP_VAULT_DATABASE_URL must be a postgres:// URL.',
        'VAPP_VAULT_VDDK_TRANSPORT_MODES must be transport modes joined by colons, such as nbdssl:nbd, not "nbdssl,nbd".',
        `limits.disksPerRun in ${path} must be a whole number from 1 to 64, not 0.`,
        `limits.disks in ${path} is not a setting of vApp Vault.`,
        `typo in ${path} is not a setting of vApp Vault.`,
      ]),
    );
    expect(faults.some((fault) => fault.startsWith(`lease in ${path} `))).toBe(true);
    expect(faults.join()).not.toContain('sesame');
  });

  it('finds what only two settings together show', () => {
    expect(faultsOf({ VAPP_VAULT_ROLE: 'worker', VAPP_VAULT_VDDK_MEMORY_BYTES: '1048576', VAPP_VAULT_LEASE_RENEW_SECONDS: '30' })).toEqual([
      'VAPP_VAULT_VDDK_MEMORY_BYTES must hold ioDepth requests of maxRequestBytes, 8388608 bytes, not 1048576.',
      'VAPP_VAULT_LEASE_RENEW_SECONDS must be at most a third of lease.durationSeconds, so that two lost renewals cost no lease, not 30.',
      'VAPP_VAULT_DATABASE_URL must be set for role worker: the embedded database belongs to role all alone.',
    ]);
  });

  it('reports a file that cannot be read without repeating what is in it', () => {
    expect(faultsOf({ VAPP_VAULT_CONFIG: join(folder, 'none.json') })[0]).toMatch(/none\.json cannot be read: ENOENT/);
    const broken = faultsOf({ VAPP_VAULT_CONFIG: file('{"database": {"url": sesame}}') });
    expect(broken).toEqual([`The configuration file ${join(folder, 'config.json')} cannot be read: it is not valid JSON.`]);
    expect(faultsOf({ VAPP_VAULT_CONFIG: file('[1]') })[0]).toMatch(/must hold one JSON object/);
  });
});
