import { Cron } from 'croner';
import { z } from 'zod';
import { KIB, MIB, SECTOR_BYTES } from '../common/index.js';

/** Every sentence reads "<setting> must be …", so a schema's message is its second half. */
function whole(min: number, max: number, unit = ''): z.ZodNumber {
  const must = `must be a whole number${unit === '' ? '' : ` of ${unit}`} from ${min} to ${max}`;
  return z.number(must).int(must).min(min, must).max(max, must);
}

function multiple(of: number, min: number, max: number): z.ZodNumber {
  return whole(min, max, 'bytes').multipleOf(of, `must be a multiple of ${of} bytes`);
}

function oneOf<const T extends readonly string[]>(values: T) {
  return z.enum(values, `must be one of ${values.join(', ')}`);
}

function flag() {
  return z.boolean('must be true or false');
}

/** In UTC, so that instances of different places agree. */
function schedule() {
  const must = 'must be "off" or a cron expression of five fields, such as "30 3 * * *"';
  return z.string(must).refine((value) => value === 'off' || isCron(value), must);
}

function isCron(value: string): boolean {
  // croner also takes a date, which comes once, and nicknames.
  if (value.trim().split(/\s+/).length !== 5) return false;
  try {
    new Cron(value, { paused: true, mode: '5-part' });
    return true;
  } catch {
    return false;
  }
}

const LARGEST_TIMEOUT_MS = 2_147_483_647;
const timeoutMs = () => whole(0, LARGEST_TIMEOUT_MS, 'milliseconds');
/** What InitEx's file can hold between its quotes. */
const quotable = z.string('must be text').regex(/^[^"\n\r]*$/, 'must not contain a double quote or a line end');
/** From the environment, a text of digits alone arrives as a number. */
const numberOrText = z.union([z.string(), z.number()], 'must be text').transform(String);
/** "Legal characters: 26 letters, digits, underscore, minus, period, and space" (guide). */
const phoneHomeText = numberOrText.pipe(
  z.string().regex(/^[A-Za-z0-9_.\- ]+$/, 'must consist of letters, digits, underscores, minus signs, periods and spaces'),
);

const path = z.string('must be a path').min(1, 'must not be empty');
const postgresUrl = z
  .string('must be a postgres:// URL')
  .refine((value) => /^postgres(ql)?:$/.test(URL.parse(value)?.protocol ?? ''), 'must be a postgres:// URL');

const httpUrl = z
  .string('must be an http:// or https:// URL')
  .refine((value) => /^https?:$/.test(URL.parse(value)?.protocol ?? ''), 'must be an http:// or https:// URL');
const mailAddresses = z
  .string('must be e-mail addresses')
  .regex(/^[^\s,@<>]+@[^\s,@<>]+(,[^\s,@<>]+@[^\s,@<>]+)*$/, 'must be e-mail addresses, separated by commas');

/** InitEx configuration file (guide, chapter 4, "Initialize Virtual Disk API"; chapter 3, "NFC Session Limits and Timeouts"). */
const librarySchema = z
  .strictObject({
    transportLogLevel: whole(0, 6).default(2),
    nfcLogLevel: whole(0, 4).default(2),
    nfcAcceptTimeoutMs: timeoutMs().default(180_000),
    nfcRequestTimeoutMs: timeoutMs().default(180_000),
    nfcReadTimeoutMs: timeoutMs().default(60_000),
    nfcWriteTimeoutMs: timeoutMs().default(600_000),
    nfcFileSystemTimeoutMs: timeoutMs().default(0),
    nfcFileSystemWriteTimeoutMs: timeoutMs().default(0),
    sanDenyList: quotable.optional(),
    sanAllowList: quotable.optional(),
    enableCache: flag().default(false),
    enableFips: flag().default(false),
    hotAddWithoutNfc: flag().default(false),
    phoneHome: z
      .strictObject({
        productName: phoneHomeText,
        productVersion: phoneHomeText,
        databaseDir: path.pipe(quotable).optional(),
      })
      .optional(),
  })
  .prefault({});

/** Names: "Bucket naming rules" of Amazon's user guide; older servers allow upper case and underscores. */
const s3Schema = z
  .strictObject({
    endpoint: z
      .string('must be an http:// or https:// URL')
      .refine((value) => isEndpoint(value), 'must be an http:// or https:// URL with neither path nor credentials')
      .optional(),
    bucket: numberOrText.pipe(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$/, 'must be the name of a bucket')).optional(),
    prefix: numberOrText
      .pipe(
        z
          .string()
          .regex(/^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*\/?$/, 'must be names joined by slashes, such as backups/vapp-vault')
          .max(256, 'must have 256 characters at most'),
      )
      .optional(),
    region: z.string('must be text').min(1, 'must not be empty').default('us-east-1'),
    pathStyle: flag().default(true),
    caFile: path.optional(),
    credentialsFile: path.optional(),
    requestTimeoutSeconds: whole(5, 3600, 'seconds').default(120),
    // 5 MiB: the smallest part there is. With three parts of two packs under way, they are the memory of an upload.
    partBytes: multiple(MIB, 5 * MIB, 64 * MIB).default(16 * MIB),
    retentionMode: oneOf(['governance', 'compliance']).default('compliance'),
  })
  .prefault({});

function isEndpoint(value: string): boolean {
  const url = URL.parse(value);
  return url !== null && /^https?:$/.test(url.protocol) && url.pathname === '/' && url.username === '' && url.search === '';
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** Defaults of folders depend on dataDir and are filled in afterwards. */
export const settingsSchema = z.strictObject({
  role: oneOf(['all', 'api', 'worker']).default('all'),
  logLevel: oneOf(LOG_LEVELS).default('info'),
  dataDir: path.default('data'),
  http: z
    .strictObject({ host: z.string().min(1, 'must not be empty').default('127.0.0.1'), port: whole(0, 65535).default(8080) })
    .prefault({}),
  database: z
    .strictObject({
      url: postgresUrl.optional(),
      poolSize: whole(2, 200, 'connections').default(16),
      startTimeoutSeconds: whole(1, 3600, 'seconds').default(60),
    })
    .prefault({}),
  masterKeyFile: path.optional(),
  masterKeyCommand: z.string('must be text').min(1, 'must not be empty').optional(),
  formerMasterKeyFile: path.optional(),
  formerMasterKeyCommand: z.string('must be text').min(1, 'must not be empty').optional(),
  repository: z
    .strictObject({
      kind: oneOf(['folder', 's3']).default('folder'),
      path: path.optional(),
      cores: whole(1, 64).default(2),
      indexMemoryBytes: multiple(MIB, 64 * MIB, 1024 * 1024 * MIB).default(64 * 1024 * MIB),
      uploadBytesPerSecond: whole(64 * KIB, 1024 * 1024 * MIB, 'bytes').optional(),
      downloadBytesPerSecond: whole(64 * KIB, 1024 * 1024 * MIB, 'bytes').optional(),
      s3: s3Schema,
      secondSite: z
        .strictObject({
          kind: oneOf(['none', 'folder', 's3']).default('none'),
          path: path.optional(),
          uploadBytesPerSecond: whole(64 * KIB, 1024 * 1024 * MIB, 'bytes').optional(),
          downloadBytesPerSecond: whole(64 * KIB, 1024 * 1024 * MIB, 'bytes').optional(),
          keepDeletedDays: whole(0, 3660, 'days').default(7),
          copyAfterBackup: flag().default(true),
          s3: s3Schema,
        })
        .prefault({}),
    })
    .prefault({}),
  maintenance: z
    .strictObject({
      verifySchedule: schedule().default('30 3 * * *'),
      verifyEverythingWithinDays: whole(1, 3660, 'days').default(30),
      gcSchedule: schedule().default('30 1 * * *'),
      gcGraceHours: whole(0, 8760, 'hours').default(24),
      copySchedule: schedule().default('30 0 * * *'),
    })
    .prefault({}),
  vddk: z
    .strictObject({
      libraryDir: path.optional(),
      temporaryDir: path.optional(),
      transportModes: z
        .string()
        .regex(
          /^(file|san|hotadd|nbdssl|nbd)(:(file|san|hotadd|nbdssl|nbd))*$/,
          'must be transport modes joined by colons, such as nbdssl:nbd',
        )
        .optional(),
      transportFallback: oneOf(['allow', 'refuse']).default('allow'),
      compression: oneOf(['none', 'zlib', 'fastlz', 'skipz']).default('none'),
      vmwareCloud: flag().default(false),
      // VMware's recommendation for NBD asynchronous I/O: buffers of 16 x 64 KiB, four of them.
      nfcAioBufferSizeIn64KiB: whole(1, 32).default(16),
      nfcAioBufferCount: whole(1, 16).default(4),
      retryAttempts: whole(1, 100).default(6),
      retryDelaySeconds: whole(0, 600, 'seconds').default(5),
      maintenanceRetryDelaySeconds: whole(0, 600, 'seconds').default(15),
      library: librarySchema,
      ioDepth: whole(1, 64).default(4),
      maxRequestBytes: multiple(SECTOR_BYTES, 64 * KIB, 32 * MIB).default(2 * MIB),
      // 4 MiB: one window of a copy or a restore (WINDOW_TARGET_BYTES there).
      memoryBytes: multiple(MIB, 4 * MIB, 4096 * MIB).default(64 * MIB),
      operationTimeoutSeconds: whole(1, 86_400, 'seconds').default(600),
    })
    .prefault({}),
  limits: z
    .strictObject({
      runsPerWorker: whole(1, 64).default(2),
      runsPerOrganization: whole(1, 10_000).default(16),
      disksPerRun: whole(1, 64).default(2),
      concurrentExports: whole(1, 64).default(4),
      vcenterConnections: whole(1, 256).default(52),
      disksPerEsxiHost: whole(1, 256).default(50),
      nfcBytesPerEsxiHost: multiple(64 * KIB, MIB, 1024 * MIB).default(48 * MIB),
    })
    .prefault({}),
  lease: z
    .strictObject({
      // Together 25 s at most until a dead worker is noticed.
      durationSeconds: whole(3, 3600, 'seconds').default(20),
      renewSeconds: whole(1, 1200, 'seconds').default(5),
      sweepSeconds: whole(1, 3600, 'seconds').default(5),
      lateRequestSeconds: whole(1, 3600, 'seconds').default(180),
    })
    .prefault({}),
  runs: z.strictObject({ rememberDays: whole(1, 36_500, 'days').default(400) }).prefault({}),
  policies: z
    .strictObject({
      tickSeconds: whole(1, 3600, 'seconds').default(20),
      metadataKey: z
        .string('must be text')
        .min(1, 'must not be empty')
        .max(256, 'must be at most 256 characters')
        .default('vapp-vault.policy'),
      metadataRefreshMinutes: whole(1, 1440, 'minutes').default(15),
      retentionMinutes: whole(1, 10_080, 'minutes').default(60),
    })
    .prefault({}),
  inventory: z.strictObject({ refreshMinutes: whole(0, 10_080, 'minutes').default(15) }).prefault({}),
  alerts: z
    .strictObject({
      lookSeconds: whole(5, 3600, 'seconds').default(60),
      repositoryFreePercent: whole(1, 90, 'percent').default(10),
      stuckObligationMinutes: whole(1, 10_080, 'minutes').default(60),
      stalledQueueMinutes: whole(1, 10_080, 'minutes').default(30),
      webhook: z.strictObject({ url: httpUrl.optional(), secretFile: path.optional(), caFile: path.optional() }).prefault({}),
      email: z
        .strictObject({
          host: z.string('must be a host name').min(1, 'must not be empty').optional(),
          port: whole(1, 65_535).default(587),
          security: oneOf(['tls', 'starttls', 'none']).default('starttls'),
          userName: numberOrText.optional(),
          passwordFile: path.optional(),
          caFile: path.optional(),
          from: mailAddresses.optional(),
          to: mailAddresses.optional(),
        })
        .prefault({}),
    })
    .prefault({}),
  shutdown: z.strictObject({ drainSeconds: whole(0, 86_400, 'seconds').default(20) }).prefault({}),
});

export type Settings = z.output<typeof settingsSchema>;

/** BufSizeIn64KB x BufCount x 64 KiB: above it "the disk open operation will fail" (guide, "Best Practices for NBD Transport"). */
const LARGEST_NFC_SESSION_BYTES = 16 * MIB;

interface CrossFault {
  path: string;
  must: string;
}

/** What no single field can see. */
export function crossFaults(settings: Settings): CrossFault[] {
  const { lease, role, database } = settings;
  const faults = [...vddkFaults(settings), ...repositoryFaults(settings.repository), ...alertFaults(settings.alerts)];
  if (lease.renewSeconds * 3 > lease.durationSeconds) {
    faults.push({
      path: 'lease.renewSeconds',
      must: 'must be at most a third of lease.durationSeconds, so that two lost renewals cost no lease',
    });
  }
  if (role !== 'all' && database.url === undefined) {
    faults.push({ path: 'database.url', must: `must be set for role ${role}: the embedded database belongs to role all alone` });
  }
  return faults;
}

function vddkFaults({ vddk, limits }: Settings): CrossFault[] {
  const faults: CrossFault[] = [];
  if (vddk.memoryBytes < vddk.ioDepth * vddk.maxRequestBytes) {
    faults.push({
      path: 'vddk.memoryBytes',
      must: `must hold ioDepth requests of maxRequestBytes, ${vddk.ioDepth * vddk.maxRequestBytes} bytes`,
    });
  }
  const nfcBytesPerDisk = vddk.nfcAioBufferSizeIn64KiB * 64 * KIB * vddk.nfcAioBufferCount;
  if (nfcBytesPerDisk > LARGEST_NFC_SESSION_BYTES) {
    faults.push({
      path: 'vddk.nfcAioBufferCount',
      must: 'must be so small that nfcAioBufferSizeIn64KiB x 64 KiB x nfcAioBufferCount is at most 16 MiB, or no disk opens',
    });
  }
  if (limits.nfcBytesPerEsxiHost < nfcBytesPerDisk) {
    faults.push({
      path: 'limits.nfcBytesPerEsxiHost',
      must: `must hold the NFC buffers of one disk at least, ${nfcBytesPerDisk} bytes`,
    });
  }
  if (vddk.vmwareCloud && (vddk.transportModes ?? 'hotadd') !== 'hotadd') {
    faults.push({ path: 'vddk.transportModes', must: 'must be hotadd or left out with vddk.vmwareCloud, where nothing else works' });
  }
  return faults;
}

function repositoryFaults({ kind, path, s3, secondSite }: Settings['repository']): CrossFault[] {
  const faults: CrossFault[] = [];
  if (kind === 's3' && s3.bucket === undefined)
    faults.push({ path: 'repository.s3.bucket', must: 'must be set for a repository of kind s3' });
  if (kind === 's3' && path !== undefined) faults.push({ path: 'repository.path', must: 'must be left out for a repository of kind s3' });
  if (secondSite.kind === 's3' && secondSite.s3.bucket === undefined)
    faults.push({ path: 'repository.secondSite.s3.bucket', must: 'must be set for a second site of kind s3' });
  if (secondSite.kind === 'folder' && secondSite.path === undefined)
    faults.push({ path: 'repository.secondSite.path', must: 'must be set for a second site of kind folder' });
  if (secondSite.kind === 'folder' && secondSite.path !== undefined && secondSite.path === path)
    faults.push({ path: 'repository.secondSite.path', must: 'must be another folder than that of the repository' });
  return faults;
}

function alertFaults({ webhook, email }: Settings['alerts']): CrossFault[] {
  const faults: CrossFault[] = [];
  if ((webhook.url === undefined) !== (webhook.secretFile === undefined)) {
    faults.push({
      path: 'alerts.webhook.secretFile',
      must: 'must be set together with alerts.webhook.url: what is posted is signed with it',
    });
  }
  if (email.host !== undefined && (email.from === undefined || email.to === undefined)) {
    faults.push({ path: 'alerts.email.to', must: 'must be set, and alerts.email.from, with alerts.email.host' });
  }
  if ((email.userName === undefined) !== (email.passwordFile === undefined)) {
    faults.push({ path: 'alerts.email.passwordFile', must: 'must be set together with alerts.email.userName' });
  }
  if (email.security === 'none' && email.passwordFile !== undefined) {
    faults.push({ path: 'alerts.email.security', must: 'must be tls or starttls with a password, which would travel in the clear' });
  }
  return faults;
}
