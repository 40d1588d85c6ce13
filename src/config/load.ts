import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { describeError } from '../common/index.js';
import { ConfigError } from './errors.js';
import { crossFaults, type Settings, settingsSchema } from './schema.js';
import type { BlobStoreSettings, VaultConfig } from './types.js';
import { ENVIRONMENT, PATHS, SECRETS } from './variables.js';

type Tree = { [key: string]: unknown };
const PREFIX = 'VAPP_VAULT_';
const FILE_VARIABLE = 'VAPP_VAULT_CONFIG';

/**
 * The configuration from the environment (VAPP_VAULT_*), over the JSON file VAPP_VAULT_CONFIG
 * names, over the defaults. Paths in the environment are relative to the working folder, paths in
 * the file to the file.
 * @throws ConfigError with every fault there is, not the first.
 */
export function loadConfig(environment: NodeJS.ProcessEnv = process.env, workingDir: string = process.cwd()): VaultConfig {
  const faults: string[] = [];
  const file = environment[FILE_VARIABLE] ? resolve(workingDir, environment[FILE_VARIABLE]) : undefined;
  const tree = file === undefined ? {} : readConfigFile(file, faults);
  if (file !== undefined) for (const path of PATHS) rebase(tree, path, dirname(file));
  const fromEnvironment = applyEnvironment(tree, environment, workingDir, faults);

  const named = (path: string): string => fromEnvironment.get(path) ?? (path === '' ? 'The configuration' : nameIn(path, tree, file));
  const parsed = settingsSchema.safeParse(tree);
  const seen = new Set<string>();
  const report = (path: string, must: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    faults.push(`${named(path)} ${must}${given(tree, path)}.`);
  };
  if (parsed.success) {
    for (const { path, must } of crossFaults(parsed.data)) report(path, must);
  } else {
    for (const issue of parsed.error.issues) {
      const path = issue.path.join('.');
      if (issue.code === 'unrecognized_keys') {
        for (const key of issue.keys) faults.push(`${named(path === '' ? key : `${path}.${key}`)} is not a setting of vApp Vault.`);
      } else report(path, issue.message.startsWith('must') ? issue.message : `is not valid: ${issue.message}`);
    }
  }
  if (faults.length > 0 || !parsed.success) throw new ConfigError(faults);
  return toConfig(parsed.data, workingDir);
}

function readConfigFile(file: string, faults: string[]): Tree {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (isTree(value)) return value;
    faults.push(`The configuration file ${file} must hold one JSON object.`);
  } catch (error) {
    // V8 repeats a stretch of the text in its message; that stretch may be a password.
    const reason = error instanceof SyntaxError ? 'it is not valid JSON' : describeError(error);
    faults.push(`The configuration file ${file} cannot be read: ${reason}.`);
  }
  return {};
}

function applyEnvironment(tree: Tree, environment: NodeJS.ProcessEnv, workingDir: string, faults: string[]): Map<string, string> {
  const names = new Map<string, string>();
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith(PREFIX) || variable === FILE_VARIABLE) continue;
    const path = ENVIRONMENT[variable];
    if (path === undefined) {
      faults.push(`${variable} is not a setting of vApp Vault.`);
      continue;
    }
    // An empty variable is how compose files and unit files say "not set".
    if (value === undefined || value === '') continue;
    names.set(path, variable);
    set(tree, path, PATHS.includes(path) ? resolve(workingDir, value) : fromText(value));
  }
  return names;
}

function fromText(value: string): string | number | boolean {
  if (/^-?\d+$/.test(value)) return Number(value);
  return value === 'true' || (value === 'false' ? false : value);
}

function nameIn(path: string, tree: Tree, file: string | undefined): string {
  if (file !== undefined && get(tree, path) !== undefined) return `${path} in ${file}`;
  const variable = Object.entries(ENVIRONMENT).find(([, setting]) => setting === path)?.[0];
  return variable ?? path;
}

function given(tree: Tree, path: string): string {
  const value = get(tree, path);
  if (value === undefined || SECRETS.includes(path) || typeof value === 'object') return '';
  return `, not ${JSON.stringify(value)}`;
}

function rebase(tree: Tree, path: string, folder: string): void {
  const value = get(tree, path);
  if (typeof value === 'string' && value !== '') set(tree, path, resolve(folder, value));
}

function get(tree: Tree, path: string): unknown {
  let value: unknown = tree;
  for (const key of path.split('.')) value = isTree(value) ? value[key] : undefined;
  return value;
}

/** Leaves a branch of the wrong type alone: the schema reports it. */
function set(tree: Tree, path: string, value: unknown): void {
  const keys = path.split('.');
  const last = keys.pop() as string;
  let branch = tree;
  for (const key of keys) {
    const next = branch[key] ?? {};
    if (!isTree(next)) return;
    branch[key] = next;
    branch = next;
  }
  branch[last] = value;
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function toConfig(settings: Settings, workingDir: string): VaultConfig {
  const dataDir = resolve(workingDir, settings.dataDir);
  const { operationTimeoutSeconds, libraryDir, temporaryDir, transportModes, ...rest } = settings.vddk;
  const { retryAttempts, retryDelaySeconds, maintenanceRetryDelaySeconds, ...vddk } = rest;
  return deepFreeze({
    role: settings.role,
    logLevel: settings.logLevel,
    dataDir,
    http: settings.http,
    database: {
      url: settings.database.url,
      poolSize: settings.database.poolSize,
      startTimeoutMs: settings.database.startTimeoutSeconds * 1000,
    },
    masterKey: {
      path: settings.masterKeyFile ?? resolve(dataDir, 'keys', 'master.key'),
      makeIfMissing: settings.masterKeyFile === undefined,
      command: settings.masterKeyCommand,
    },
    formerMasterKey: toFormerKey(settings),
    repository: {
      ...toBlobStore(settings.repository, resolve(dataDir, 'repository')),
      cores: settings.repository.cores,
      indexMemoryBytes: settings.repository.indexMemoryBytes,
      secondSite: toSecondSite(settings.repository.secondSite),
    },
    maintenance: settings.maintenance,
    vddk: {
      ...vddk,
      libraryDir,
      temporaryDir: temporaryDir ?? resolve(dataDir, 'vddk'),
      // "In VMware Cloud environments … only HotAdd transport mode is allowed" (6.7 release notes).
      transportModes: transportModes ?? (vddk.vmwareCloud ? 'hotadd' : 'nbdssl:nbd'),
      operationTimeoutMs: operationTimeoutSeconds * 1000,
      retries: {
        reconnect: { attempts: retryAttempts, delayMs: retryDelaySeconds * 1000 },
        // "Soon, 3 times" after the first (guide): not ours to change.
        soon: { attempts: 4, delayMs: maintenanceRetryDelaySeconds * 1000 },
        once: { attempts: 2, delayMs: Math.min(retryDelaySeconds, 2) * 1000 },
      },
      // Ten times a minute (guide, PrepareForAccess), with the default of the pause.
      migrationWait: { attempts: 10, delayMs: Math.min(retryDelaySeconds * 12, 60) * 1000 },
    },
    limits: settings.limits,
    lease: {
      durationMs: settings.lease.durationSeconds * 1000,
      renewMs: settings.lease.renewSeconds * 1000,
      sweepMs: settings.lease.sweepSeconds * 1000,
      lateRequestMs: settings.lease.lateRequestSeconds * 1000,
    },
    runs: settings.runs,
    policies: {
      tickMs: settings.policies.tickSeconds * 1000,
      metadataKey: settings.policies.metadataKey,
      metadataRefreshMinutes: settings.policies.metadataRefreshMinutes,
      retentionMinutes: settings.policies.retentionMinutes,
    },
    inventory: settings.inventory,
    alerts: toAlerts(settings.alerts),
    shutdown: { drainMs: settings.shutdown.drainSeconds * 1000 },
  });
}

function toFormerKey({ formerMasterKeyFile: path, formerMasterKeyCommand: command }: Settings): VaultConfig['formerMasterKey'] {
  if (path === undefined && command === undefined) return undefined;
  return { path: path ?? '', makeIfMissing: false, command };
}

type StoreSettings = Pick<Settings['repository'], 'path' | 'uploadBytesPerSecond' | 'downloadBytesPerSecond' | 's3'> & {
  kind: 'folder' | 's3';
};

function toAlerts({ webhook, email, lookSeconds, ...thresholds }: Settings['alerts']): VaultConfig['alerts'] {
  const { url, secretFile, caFile } = webhook;
  const { host, from, to, ...server } = email;
  return {
    ...thresholds,
    lookMs: lookSeconds * 1000,
    webhook: url === undefined || secretFile === undefined ? undefined : { url, secretFile, caFile },
    email: host === undefined || from === undefined || to === undefined ? undefined : { ...server, host, from, to: to.split(',') },
  };
}

function toBlobStore(settings: StoreSettings, defaultPath: string): BlobStoreSettings {
  const { kind, path, uploadBytesPerSecond, downloadBytesPerSecond } = settings;
  const rates = { uploadBytesPerSecond, downloadBytesPerSecond };
  if (kind === 'folder') return { kind, path: path ?? defaultPath, ...rates };
  const { endpoint, bucket, prefix, caFile, credentialsFile, requestTimeoutSeconds, ...s3 } = settings.s3;
  // crossFaults has refused a configuration without a bucket.
  return {
    kind,
    s3: { ...s3, endpoint, bucket: bucket as string, prefix, caFile, credentialsFile, requestTimeoutMs: requestTimeoutSeconds * 1000 },
    ...rates,
  };
}

function toSecondSite(settings: Settings['repository']['secondSite']): VaultConfig['repository']['secondSite'] {
  const { kind, keepDeletedDays, copyAfterBackup } = settings;
  // crossFaults has refused a folder without a path.
  return kind === 'none' ? { kind } : { ...toBlobStore({ ...settings, kind }, ''), keepDeletedDays, copyAfterBackup };
}

function deepFreeze<T extends object>(value: T): T {
  for (const child of Object.values(value)) if (typeof child === 'object' && child !== null) deepFreeze(child);
  return Object.freeze(value);
}
