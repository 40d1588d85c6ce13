import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ENVIRONMENT, loadConfig } from '../../src/config/index.js';
import { PRIVILEGES } from '../../src/vsphere/index.js';

const text = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
const rows = new Map(
  [...text.matchAll(/^\| `(VAPP_VAULT_\w+)` \| ([^|]+?) \|/gm)].map(([, name, value]) => [name as string, value as string]),
);
/** Read outside the configuration: where its file is, and the key main.ts takes out of the environment. */
const BESIDE = ['VAPP_VAULT_CONFIG', 'VAPP_VAULT_INITIAL_API_KEY'];

/** Settings whose unit in the configuration is not that of the variable. */
const IN_MILLISECONDS: Record<string, string> = {
  'database.startTimeoutSeconds': 'database.startTimeoutMs',
  'repository.s3.requestTimeoutSeconds': 'repository.s3.requestTimeoutMs',
  'repository.secondSite.s3.requestTimeoutSeconds': 'repository.secondSite.s3.requestTimeoutMs',
  'vddk.operationTimeoutSeconds': 'vddk.operationTimeoutMs',
  'vddk.retryDelaySeconds': 'vddk.retries.reconnect.delayMs',
  'vddk.maintenanceRetryDelaySeconds': 'vddk.retries.soon.delayMs',
  'policies.tickSeconds': 'policies.tickMs',
  'lease.durationSeconds': 'lease.durationMs',
  'lease.renewSeconds': 'lease.renewMs',
  'lease.sweepSeconds': 'lease.sweepMs',
  'lease.lateRequestSeconds': 'lease.lateRequestMs',
  'shutdown.drainSeconds': 'shutdown.drainMs',
  'alerts.lookSeconds': 'alerts.lookMs',
};

/** Settings that lie elsewhere in the configuration. */
const PLACES: Record<string, string> = { 'vddk.retryAttempts': 'vddk.retries.reconnect.attempts' };

function valueAt(tree: unknown, path: string): unknown {
  return path.split('.').reduce((value, key) => (value as Record<string, unknown> | undefined)?.[key], tree);
}

describe('docs/operations.md', () => {
  it('lists every setting and no other', () => {
    expect([...rows.keys()].toSorted()).toEqual([...Object.keys(ENVIRONMENT), ...BESIDE].toSorted());
  });

  it('names the defaults the service has', () => {
    const config = loadConfig({}, '/srv');
    // A bucket has no default; all else of S3 is there only with one.
    const ofS3 = {
      repository: loadConfig({ VAPP_VAULT_REPOSITORY_KIND: 's3', VAPP_VAULT_REPOSITORY_S3_BUCKET: 'none' }, '/srv').repository,
    };
    const mail = { HOST: 'none', FROM: 'a@b', TO: 'c@d' };
    const ofEmail = loadConfig(
      Object.fromEntries(Object.entries(mail).map(([name, value]) => [`VAPP_VAULT_ALERTS_EMAIL_${name}`, value])),
      '/srv',
    );
    const withSecondSite = loadConfig({ VAPP_VAULT_SECOND_SITE_KIND: 's3', VAPP_VAULT_SECOND_SITE_S3_BUCKET: 'none' }, '/srv');
    const settingsFor = (setting: string) => {
      if (setting.startsWith('repository.secondSite.') && !setting.endsWith('.kind')) return withSecondSite;
      return setting.startsWith('repository.s3.') ? ofS3 : config;
    };
    const folders: Record<string, unknown> = { dataDir: config.dataDir, masterKeyFile: config.masterKey.path };
    for (const [variable, setting] of Object.entries(ENVIRONMENT)) {
      const inMs = IN_MILLISECONDS[setting];
      const withEmail = ['alerts.email.port', 'alerts.email.security'].includes(setting);
      const settings = withEmail ? ofEmail : settingsFor(setting);
      const value =
        folders[setting] ?? (inMs === undefined ? valueAt(settings, PLACES[setting] ?? setting) : Number(valueAt(settings, inMs)) / 1000);
      const shown = String(value ?? 'none')
        .replace('/srv/data/', 'DATA_DIR/')
        .replace('/srv/', './');
      expect(rows.get(variable)?.replaceAll('`', ''), variable).toBe(shown);
    }
  });
});

describe('the privileges in docs/operations.md', () => {
  const cells = [...text.matchAll(/^ {3}\| ([^|]+) \| `([\w.]+)` \| ([^|]+) \| ([^|]+) \|$/gm)].map(([, label, id, purposes, use]) => ({
    id,
    label,
    purposes: (purposes as string).split(', '),
    use,
  }));

  it('are those the preflight asks for, in the same order and the same words', () => {
    expect(cells).toEqual(PRIVILEGES.map(({ id, label, purposes, use }) => ({ id, label, purposes, use })));
  });
});
