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
  it('notices a dead worker within 30 s where nothing else is said, and gives a living one two lost renewals', () => {
    const { durationMs, sweepMs, renewMs } = loadConfig({}, '/srv').lease;
    expect(durationMs + sweepMs).toBeLessThan(30_000);
    expect(3 * renewMs).toBeLessThanOrEqual(durationMs);
  });

  it('has a working default for everything, with paths below the data folder', () => {
    const config = loadConfig({ HOME: '/root' }, '/srv/vault');
    expect(config).toMatchObject({
      role: 'all',
      dataDir: '/srv/vault/data',
      http: { host: '127.0.0.1', port: 8080 },
      database: { url: undefined },
      masterKey: { path: '/srv/vault/data/keys/master.key', makeIfMissing: true },
      repository: { kind: 'folder', path: '/srv/vault/data/repository', cores: 2, indexMemoryBytes: 64 * 1024 ** 3 },
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
    expect(config.repository).toMatchObject({ kind: 'folder', path: '/srv/repo' });
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
    expect(faultsOf({ VAPP_VAULT_ROLE: 'worker', VAPP_VAULT_VDDK_MEMORY_BYTES: '4194304', VAPP_VAULT_LEASE_RENEW_SECONDS: '30' })).toEqual([
      'VAPP_VAULT_VDDK_MEMORY_BYTES must hold ioDepth requests of maxRequestBytes, 8388608 bytes, not 4194304.',
      'VAPP_VAULT_LEASE_RENEW_SECONDS must be at most a third of lease.durationSeconds, so that two lost renewals cost no lease, not 30.',
      'VAPP_VAULT_DATABASE_URL must be set for role worker: the embedded database belongs to role all alone.',
    ]);
  });

  it('takes no memory of a disk host that a window of a copy does not fit in', () => {
    const withMemory = (memoryBytes: string) => ({ VAPP_VAULT_VDDK_IO_DEPTH: '1', VAPP_VAULT_VDDK_MEMORY_BYTES: memoryBytes });
    expect(faultsOf(withMemory('3145728'))).toEqual([
      'VAPP_VAULT_VDDK_MEMORY_BYTES must be a whole number of bytes from 4194304 to 4294967296, not 3145728.',
    ]);
    expect(loadConfig(withMemory('4194304'), '/srv').vddk.memoryBytes).toBe(4_194_304);
  });

  it('reads how VDDK is run: flags, numbers, lists and what it tells VMware', () => {
    const { vddk, limits } = loadConfig(
      {
        VAPP_VAULT_VDDK_TRANSPORT_FALLBACK: 'refuse',
        VAPP_VAULT_VDDK_COMPRESSION: 'fastlz',
        VAPP_VAULT_VDDK_ENABLE_FIPS: 'true',
        VAPP_VAULT_VDDK_ENABLE_CACHE: 'false',
        VAPP_VAULT_VDDK_SAN_ALLOW_LIST: '/dev/sdb,/dev/sdc',
        VAPP_VAULT_VDDK_PHONE_HOME_PRODUCT_NAME: 'vApp Vault',
        VAPP_VAULT_VDDK_PHONE_HOME_PRODUCT_VERSION: '7',
        VAPP_VAULT_VDDK_PHONE_HOME_DATABASE_DIR: 'ceip',
        VAPP_VAULT_VDDK_RETRY_ATTEMPTS: '3',
        VAPP_VAULT_VDDK_RETRY_DELAY_SECONDS: '1',
        VAPP_VAULT_DISKS_PER_ESXI_HOST: '25',
      },
      '/srv',
    );
    expect(vddk).toMatchObject({
      transportModes: 'nbdssl:nbd',
      transportFallback: 'refuse',
      compression: 'fastlz',
      library: {
        enableFips: true,
        enableCache: false,
        sanAllowList: '/dev/sdb,/dev/sdc',
        phoneHome: { productName: 'vApp Vault', productVersion: '7', databaseDir: '/srv/ceip' },
      },
      retries: { reconnect: { attempts: 3, delayMs: 1000 }, soon: { attempts: 4, delayMs: 15_000 }, once: { attempts: 2, delayMs: 1000 } },
    });
    expect(limits.disksPerEsxiHost).toBe(25);
  });

  it('uses HotAdd alone in VMware Cloud', () => {
    expect(loadConfig({ VAPP_VAULT_VDDK_VMWARE_CLOUD: 'true' }, '/srv').vddk).toMatchObject({
      vmwareCloud: true,
      transportModes: 'hotadd',
    });
    expect(faultsOf({ VAPP_VAULT_VDDK_VMWARE_CLOUD: 'true', VAPP_VAULT_VDDK_TRANSPORT_MODES: 'hotadd:nbdssl' })[0]).toMatch(
      /^VAPP_VAULT_VDDK_TRANSPORT_MODES must be hotadd or left out/,
    );
  });

  it('refuses what VDDK would refuse, or silently pass over', () => {
    expect(
      faultsOf({
        VAPP_VAULT_VDDK_VMWARE_CLOUD: 'yes',
        VAPP_VAULT_VDDK_SAN_DENY_LIST: '/dev/"sdb"',
        VAPP_VAULT_VDDK_PHONE_HOME_PRODUCT_NAME: 'vApp Vault!',
        VAPP_VAULT_VDDK_NFC_LOG_LEVEL: '5',
      }).toSorted(),
    ).toEqual([
      'VAPP_VAULT_VDDK_NFC_LOG_LEVEL must be a whole number from 0 to 4, not 5.',
      expect.stringMatching(/^VAPP_VAULT_VDDK_PHONE_HOME_PRODUCT_NAME /),
      expect.stringMatching(/^VAPP_VAULT_VDDK_PHONE_HOME_PRODUCT_VERSION /),
      expect.stringMatching(/^VAPP_VAULT_VDDK_SAN_DENY_LIST must not contain a double quote/),
      'VAPP_VAULT_VDDK_VMWARE_CLOUD must be true or false, not "yes".',
    ]);
    expect(faultsOf({ VAPP_VAULT_VDDK_NFC_AIO_BUFFER_SIZE_IN_64KIB: '32', VAPP_VAULT_VDDK_NFC_AIO_BUFFER_COUNT: '16' })).toEqual([
      expect.stringMatching(/^VAPP_VAULT_VDDK_NFC_AIO_BUFFER_COUNT must be so small/),
    ]);
    expect(faultsOf({ VAPP_VAULT_NFC_BYTES_PER_ESXI_HOST: '2097152' })).toEqual([
      'VAPP_VAULT_NFC_BYTES_PER_ESXI_HOST must hold the NFC buffers of one disk at least, 4194304 bytes, not 2097152.',
    ]);
  });

  it('reports a file that cannot be read without repeating what is in it', () => {
    expect(faultsOf({ VAPP_VAULT_CONFIG: join(folder, 'none.json') })[0]).toMatch(/none\.json cannot be read: ENOENT/);
    const broken = faultsOf({ VAPP_VAULT_CONFIG: file('{"database": {"url": sesame}}') });
    expect(broken).toEqual([`The configuration file ${join(folder, 'config.json')} cannot be read: it is not valid JSON.`]);
    expect(faultsOf({ VAPP_VAULT_CONFIG: file('[1]') })[0]).toMatch(/must hold one JSON object/);
  });

  it('takes a bucket instead of a folder, and no keys', () => {
    const config = loadConfig(
      {
        VAPP_VAULT_REPOSITORY_KIND: 's3',
        VAPP_VAULT_REPOSITORY_S3_BUCKET: '2026',
        VAPP_VAULT_REPOSITORY_S3_ENDPOINT: 'https://s3.example.com:9000',
        VAPP_VAULT_REPOSITORY_S3_CA_FILE: 'ca.pem',
        VAPP_VAULT_REPOSITORY_S3_CREDENTIALS_FILE: 'keys',
        VAPP_VAULT_REPOSITORY_CORES: '6',
        VAPP_VAULT_REPOSITORY_INDEX_MEMORY_BYTES: '137438953472',
        VAPP_VAULT_REPOSITORY_UPLOAD_BYTES_PER_SECOND: '1000000',
        AWS_SECRET_ACCESS_KEY: 'sesame',
      },
      '/srv',
    );
    expect(config.repository).toEqual({
      kind: 's3',
      cores: 6,
      indexMemoryBytes: 128 * 1024 ** 3,
      uploadBytesPerSecond: 1_000_000,
      downloadBytesPerSecond: undefined,
      s3: {
        endpoint: 'https://s3.example.com:9000',
        bucket: '2026',
        prefix: undefined,
        region: 'us-east-1',
        pathStyle: true,
        caFile: '/srv/ca.pem',
        credentialsFile: '/srv/keys',
        requestTimeoutMs: 120_000,
        partBytes: 16_777_216,
        retentionMode: 'compliance',
      },
      secondSite: { kind: 'none' },
    });
    expect(JSON.stringify(config)).not.toContain('sesame');
  });

  it('takes a second site of either kind, in a place of its own', () => {
    const { secondSite } = loadConfig(
      { VAPP_VAULT_SECOND_SITE_KIND: 's3', VAPP_VAULT_SECOND_SITE_S3_BUCKET: 'copies', VAPP_VAULT_SECOND_SITE_S3_CA_FILE: 'ca.pem' },
      '/srv',
    ).repository;
    expect(secondSite).toMatchObject({
      kind: 's3',
      keepDeletedDays: 7,
      copyAfterBackup: true,
      s3: { bucket: 'copies', caFile: '/srv/ca.pem' },
    });
    expect(faultsOf({ VAPP_VAULT_SECOND_SITE_KIND: 's3' })).toEqual([
      'VAPP_VAULT_SECOND_SITE_S3_BUCKET must be set for a second site of kind s3.',
    ]);
    expect(faultsOf({ VAPP_VAULT_SECOND_SITE_KIND: 'folder' })).toEqual([
      'VAPP_VAULT_SECOND_SITE_PATH must be set for a second site of kind folder.',
    ]);
    expect(faultsOf({ VAPP_VAULT_REPOSITORY_PATH: 'x', VAPP_VAULT_SECOND_SITE_KIND: 'folder', VAPP_VAULT_SECOND_SITE_PATH: 'x' })).toEqual([
      'VAPP_VAULT_SECOND_SITE_PATH must be another folder than that of the repository, not "/srv/x".',
    ]);
  });

  it('takes schedules as cron expressions of five fields, or none', () => {
    expect(loadConfig({ VAPP_VAULT_GC_SCHEDULE: 'off', VAPP_VAULT_VERIFY_SCHEDULE: '0 */6 * * *' }, '/srv').maintenance).toMatchObject({
      gcSchedule: 'off',
      verifySchedule: '0 */6 * * *',
    });
    expect(faultsOf({ VAPP_VAULT_GC_SCHEDULE: 'daily', VAPP_VAULT_COPY_SCHEDULE: '0 0 0 * * *' })).toHaveLength(2);
    expect(faultsOf({ VAPP_VAULT_GC_SCHEDULE: '@daily', VAPP_VAULT_VERIFY_SCHEDULE: '2099-12-01T02:00:00' })).toHaveLength(2);
  });

  it('refuses a bucket that is none, and a folder beside a bucket', () => {
    expect(faultsOf({ VAPP_VAULT_REPOSITORY_KIND: 's3', VAPP_VAULT_REPOSITORY_PATH: 'x' })).toEqual([
      'VAPP_VAULT_REPOSITORY_S3_BUCKET must be set for a repository of kind s3.',
      'VAPP_VAULT_REPOSITORY_PATH must be left out for a repository of kind s3, not "/srv/x".',
    ]);
    const faults = faultsOf({
      VAPP_VAULT_REPOSITORY_S3_BUCKET: 'a/b',
      VAPP_VAULT_REPOSITORY_S3_PREFIX: '/a//b',
      VAPP_VAULT_REPOSITORY_S3_ENDPOINT: 'https://user:sesame@s3.example.com/path',
      VAPP_VAULT_REPOSITORY_S3_PART_BYTES: '4194304',
    });
    expect(faults).toHaveLength(4);
    expect(faults.join()).not.toContain('sesame');
  });

  it('takes where alerts are told, and refuses what would be told to strangers or unsigned', () => {
    const mail = {
      VAPP_VAULT_ALERTS_EMAIL_HOST: 'mail.example.com',
      VAPP_VAULT_ALERTS_EMAIL_FROM: 'vault@example.com',
      VAPP_VAULT_ALERTS_EMAIL_TO: 'a@example.com,b@example.com',
      VAPP_VAULT_ALERTS_EMAIL_USER_NAME: '42',
      VAPP_VAULT_ALERTS_EMAIL_PASSWORD_FILE: 'smtp',
    };
    const { alerts } = loadConfig({ ...mail, VAPP_VAULT_ALERTS_LOOK_SECONDS: '5' }, '/srv');
    expect(alerts).toMatchObject({
      ...{ lookMs: 5_000, repositoryFreePercent: 10, webhook: undefined },
      email: { port: 587, security: 'starttls', userName: '42', passwordFile: '/srv/smtp', to: ['a@example.com', 'b@example.com'] },
    });
    expect(faultsOf({ ...mail, VAPP_VAULT_ALERTS_EMAIL_SECURITY: 'none', VAPP_VAULT_ALERTS_EMAIL_TO: '' })).toEqual([
      expect.stringContaining('VAPP_VAULT_ALERTS_EMAIL_TO must be set'),
      expect.stringContaining('VAPP_VAULT_ALERTS_EMAIL_SECURITY must be tls or starttls with a password'),
    ]);
    expect(faultsOf({ VAPP_VAULT_ALERTS_WEBHOOK_URL: 'https://hooks.example.com/?token=sesame' })).toEqual([
      expect.stringContaining('VAPP_VAULT_ALERTS_WEBHOOK_SECRET_FILE must be set together with'),
    ]);
    const wrong = faultsOf({
      VAPP_VAULT_ALERTS_WEBHOOK_URL: 'ftp://hooks.example.com/?token=sesame',
      VAPP_VAULT_ALERTS_EMAIL_TO: 'nobody',
    });
    expect(wrong).toHaveLength(2);
    expect(wrong.join()).not.toContain('sesame');
  });
});
