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
      memoryBytes: multiple(MIB, MIB, 4096 * MIB).default(64 * MIB),
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

/** Setting -> environment variable. The one list both the reader and the README follow. */
export const ENVIRONMENT: Readonly<Record<string, string>> = {
  VAPP_VAULT_ROLE: 'role',
  VAPP_VAULT_LOG_LEVEL: 'logLevel',
  VAPP_VAULT_DATA_DIR: 'dataDir',
  VAPP_VAULT_HOST: 'http.host',
  VAPP_VAULT_PORT: 'http.port',
  VAPP_VAULT_DATABASE_URL: 'database.url',
  VAPP_VAULT_DATABASE_POOL_SIZE: 'database.poolSize',
  VAPP_VAULT_DATABASE_START_TIMEOUT_SECONDS: 'database.startTimeoutSeconds',
  VAPP_VAULT_MASTER_KEY_FILE: 'masterKeyFile',
  VAPP_VAULT_MASTER_KEY_COMMAND: 'masterKeyCommand',
  VAPP_VAULT_FORMER_MASTER_KEY_FILE: 'formerMasterKeyFile',
  VAPP_VAULT_FORMER_MASTER_KEY_COMMAND: 'formerMasterKeyCommand',
  VAPP_VAULT_REPOSITORY_KIND: 'repository.kind',
  VAPP_VAULT_REPOSITORY_PATH: 'repository.path',
  VAPP_VAULT_REPOSITORY_CORES: 'repository.cores',
  VAPP_VAULT_REPOSITORY_UPLOAD_BYTES_PER_SECOND: 'repository.uploadBytesPerSecond',
  VAPP_VAULT_REPOSITORY_DOWNLOAD_BYTES_PER_SECOND: 'repository.downloadBytesPerSecond',
  VAPP_VAULT_REPOSITORY_S3_ENDPOINT: 'repository.s3.endpoint',
  VAPP_VAULT_REPOSITORY_S3_BUCKET: 'repository.s3.bucket',
  VAPP_VAULT_REPOSITORY_S3_PREFIX: 'repository.s3.prefix',
  VAPP_VAULT_REPOSITORY_S3_REGION: 'repository.s3.region',
  VAPP_VAULT_REPOSITORY_S3_PATH_STYLE: 'repository.s3.pathStyle',
  VAPP_VAULT_REPOSITORY_S3_CA_FILE: 'repository.s3.caFile',
  VAPP_VAULT_REPOSITORY_S3_CREDENTIALS_FILE: 'repository.s3.credentialsFile',
  VAPP_VAULT_REPOSITORY_S3_REQUEST_TIMEOUT_SECONDS: 'repository.s3.requestTimeoutSeconds',
  VAPP_VAULT_REPOSITORY_S3_PART_BYTES: 'repository.s3.partBytes',
  VAPP_VAULT_REPOSITORY_S3_RETENTION_MODE: 'repository.s3.retentionMode',
  VAPP_VAULT_SECOND_SITE_KIND: 'repository.secondSite.kind',
  VAPP_VAULT_SECOND_SITE_PATH: 'repository.secondSite.path',
  VAPP_VAULT_SECOND_SITE_UPLOAD_BYTES_PER_SECOND: 'repository.secondSite.uploadBytesPerSecond',
  VAPP_VAULT_SECOND_SITE_DOWNLOAD_BYTES_PER_SECOND: 'repository.secondSite.downloadBytesPerSecond',
  VAPP_VAULT_SECOND_SITE_KEEP_DELETED_DAYS: 'repository.secondSite.keepDeletedDays',
  VAPP_VAULT_SECOND_SITE_COPY_AFTER_BACKUP: 'repository.secondSite.copyAfterBackup',
  VAPP_VAULT_SECOND_SITE_S3_ENDPOINT: 'repository.secondSite.s3.endpoint',
  VAPP_VAULT_SECOND_SITE_S3_BUCKET: 'repository.secondSite.s3.bucket',
  VAPP_VAULT_SECOND_SITE_S3_PREFIX: 'repository.secondSite.s3.prefix',
  VAPP_VAULT_SECOND_SITE_S3_REGION: 'repository.secondSite.s3.region',
  VAPP_VAULT_SECOND_SITE_S3_PATH_STYLE: 'repository.secondSite.s3.pathStyle',
  VAPP_VAULT_SECOND_SITE_S3_CA_FILE: 'repository.secondSite.s3.caFile',
  VAPP_VAULT_SECOND_SITE_S3_CREDENTIALS_FILE: 'repository.secondSite.s3.credentialsFile',
  VAPP_VAULT_SECOND_SITE_S3_REQUEST_TIMEOUT_SECONDS: 'repository.secondSite.s3.requestTimeoutSeconds',
  VAPP_VAULT_SECOND_SITE_S3_PART_BYTES: 'repository.secondSite.s3.partBytes',
  VAPP_VAULT_SECOND_SITE_S3_RETENTION_MODE: 'repository.secondSite.s3.retentionMode',
  VAPP_VAULT_VERIFY_SCHEDULE: 'maintenance.verifySchedule',
  VAPP_VAULT_VERIFY_EVERYTHING_WITHIN_DAYS: 'maintenance.verifyEverythingWithinDays',
  VAPP_VAULT_GC_SCHEDULE: 'maintenance.gcSchedule',
  VAPP_VAULT_GC_GRACE_HOURS: 'maintenance.gcGraceHours',
  VAPP_VAULT_COPY_SCHEDULE: 'maintenance.copySchedule',
  VAPP_VAULT_VDDK_LIBRARY_DIR: 'vddk.libraryDir',
  VAPP_VAULT_VDDK_TEMPORARY_DIR: 'vddk.temporaryDir',
  VAPP_VAULT_VDDK_TRANSPORT_MODES: 'vddk.transportModes',
  VAPP_VAULT_VDDK_TRANSPORT_FALLBACK: 'vddk.transportFallback',
  VAPP_VAULT_VDDK_COMPRESSION: 'vddk.compression',
  VAPP_VAULT_VDDK_VMWARE_CLOUD: 'vddk.vmwareCloud',
  VAPP_VAULT_VDDK_NFC_AIO_BUFFER_SIZE_IN_64KIB: 'vddk.nfcAioBufferSizeIn64KiB',
  VAPP_VAULT_VDDK_NFC_AIO_BUFFER_COUNT: 'vddk.nfcAioBufferCount',
  VAPP_VAULT_VDDK_IO_DEPTH: 'vddk.ioDepth',
  VAPP_VAULT_VDDK_MAX_REQUEST_BYTES: 'vddk.maxRequestBytes',
  VAPP_VAULT_VDDK_MEMORY_BYTES: 'vddk.memoryBytes',
  VAPP_VAULT_VDDK_OPERATION_TIMEOUT_SECONDS: 'vddk.operationTimeoutSeconds',
  VAPP_VAULT_VDDK_RETRY_ATTEMPTS: 'vddk.retryAttempts',
  VAPP_VAULT_VDDK_RETRY_DELAY_SECONDS: 'vddk.retryDelaySeconds',
  VAPP_VAULT_VDDK_MAINTENANCE_RETRY_DELAY_SECONDS: 'vddk.maintenanceRetryDelaySeconds',
  VAPP_VAULT_VDDK_TRANSPORT_LOG_LEVEL: 'vddk.library.transportLogLevel',
  VAPP_VAULT_VDDK_NFC_LOG_LEVEL: 'vddk.library.nfcLogLevel',
  VAPP_VAULT_VDDK_NFC_ACCEPT_TIMEOUT_MS: 'vddk.library.nfcAcceptTimeoutMs',
  VAPP_VAULT_VDDK_NFC_REQUEST_TIMEOUT_MS: 'vddk.library.nfcRequestTimeoutMs',
  VAPP_VAULT_VDDK_NFC_READ_TIMEOUT_MS: 'vddk.library.nfcReadTimeoutMs',
  VAPP_VAULT_VDDK_NFC_WRITE_TIMEOUT_MS: 'vddk.library.nfcWriteTimeoutMs',
  VAPP_VAULT_VDDK_NFC_FILE_SYSTEM_TIMEOUT_MS: 'vddk.library.nfcFileSystemTimeoutMs',
  VAPP_VAULT_VDDK_NFC_FILE_SYSTEM_WRITE_TIMEOUT_MS: 'vddk.library.nfcFileSystemWriteTimeoutMs',
  VAPP_VAULT_VDDK_SAN_DENY_LIST: 'vddk.library.sanDenyList',
  VAPP_VAULT_VDDK_SAN_ALLOW_LIST: 'vddk.library.sanAllowList',
  VAPP_VAULT_VDDK_ENABLE_CACHE: 'vddk.library.enableCache',
  VAPP_VAULT_VDDK_ENABLE_FIPS: 'vddk.library.enableFips',
  VAPP_VAULT_VDDK_HOTADD_WITHOUT_NFC: 'vddk.library.hotAddWithoutNfc',
  VAPP_VAULT_VDDK_PHONE_HOME_PRODUCT_NAME: 'vddk.library.phoneHome.productName',
  VAPP_VAULT_VDDK_PHONE_HOME_PRODUCT_VERSION: 'vddk.library.phoneHome.productVersion',
  VAPP_VAULT_VDDK_PHONE_HOME_DATABASE_DIR: 'vddk.library.phoneHome.databaseDir',
  VAPP_VAULT_RUNS_PER_WORKER: 'limits.runsPerWorker',
  VAPP_VAULT_RUNS_PER_ORGANIZATION: 'limits.runsPerOrganization',
  VAPP_VAULT_DISKS_PER_RUN: 'limits.disksPerRun',
  VAPP_VAULT_CONCURRENT_EXPORTS: 'limits.concurrentExports',
  VAPP_VAULT_VCENTER_CONNECTIONS: 'limits.vcenterConnections',
  VAPP_VAULT_DISKS_PER_ESXI_HOST: 'limits.disksPerEsxiHost',
  VAPP_VAULT_NFC_BYTES_PER_ESXI_HOST: 'limits.nfcBytesPerEsxiHost',
  VAPP_VAULT_POLICIES_TICK_SECONDS: 'policies.tickSeconds',
  VAPP_VAULT_POLICIES_METADATA_KEY: 'policies.metadataKey',
  VAPP_VAULT_POLICIES_METADATA_REFRESH_MINUTES: 'policies.metadataRefreshMinutes',
  VAPP_VAULT_POLICIES_RETENTION_MINUTES: 'policies.retentionMinutes',
  VAPP_VAULT_INVENTORY_REFRESH_MINUTES: 'inventory.refreshMinutes',
  VAPP_VAULT_LEASE_DURATION_SECONDS: 'lease.durationSeconds',
  VAPP_VAULT_LEASE_RENEW_SECONDS: 'lease.renewSeconds',
  VAPP_VAULT_LEASE_SWEEP_SECONDS: 'lease.sweepSeconds',
  VAPP_VAULT_LEASE_LATE_REQUEST_SECONDS: 'lease.lateRequestSeconds',
  VAPP_VAULT_SHUTDOWN_DRAIN_SECONDS: 'shutdown.drainSeconds',
  VAPP_VAULT_ALERTS_LOOK_SECONDS: 'alerts.lookSeconds',
  VAPP_VAULT_ALERTS_REPOSITORY_FREE_PERCENT: 'alerts.repositoryFreePercent',
  VAPP_VAULT_ALERTS_STUCK_OBLIGATION_MINUTES: 'alerts.stuckObligationMinutes',
  VAPP_VAULT_ALERTS_STALLED_QUEUE_MINUTES: 'alerts.stalledQueueMinutes',
  VAPP_VAULT_ALERTS_WEBHOOK_URL: 'alerts.webhook.url',
  VAPP_VAULT_ALERTS_WEBHOOK_SECRET_FILE: 'alerts.webhook.secretFile',
  VAPP_VAULT_ALERTS_WEBHOOK_CA_FILE: 'alerts.webhook.caFile',
  VAPP_VAULT_ALERTS_EMAIL_HOST: 'alerts.email.host',
  VAPP_VAULT_ALERTS_EMAIL_PORT: 'alerts.email.port',
  VAPP_VAULT_ALERTS_EMAIL_SECURITY: 'alerts.email.security',
  VAPP_VAULT_ALERTS_EMAIL_USER_NAME: 'alerts.email.userName',
  VAPP_VAULT_ALERTS_EMAIL_PASSWORD_FILE: 'alerts.email.passwordFile',
  VAPP_VAULT_ALERTS_EMAIL_CA_FILE: 'alerts.email.caFile',
  VAPP_VAULT_ALERTS_EMAIL_FROM: 'alerts.email.from',
  VAPP_VAULT_ALERTS_EMAIL_TO: 'alerts.email.to',
};

/** Settings whose value is a file or folder. */
export const PATHS: readonly string[] = [
  'dataDir',
  'masterKeyFile',
  'repository.path',
  'repository.s3.caFile',
  'repository.s3.credentialsFile',
  'formerMasterKeyFile',
  'repository.secondSite.path',
  'repository.secondSite.s3.caFile',
  'repository.secondSite.s3.credentialsFile',
  'vddk.libraryDir',
  'vddk.temporaryDir',
  'vddk.library.phoneHome.databaseDir',
  'alerts.webhook.secretFile',
  'alerts.webhook.caFile',
  'alerts.email.passwordFile',
  'alerts.email.caFile',
];
/** Settings whose value may carry a password, and so is never repeated in a message. */
export const SECRETS: readonly string[] = [
  'database.url',
  'repository.s3.endpoint',
  'repository.secondSite.s3.endpoint',
  'alerts.webhook.url',
];

/** BufSizeIn64KB x BufCount x 64 KiB: above it "the disk open operation will fail" (guide, "Best Practices for NBD Transport"). */
const LARGEST_NFC_SESSION_BYTES = 16 * MIB;

/** What no single field can see. */
export function crossFaults(settings: Settings): { path: string; must: string }[] {
  const faults: { path: string; must: string }[] = [];
  const { vddk, lease, limits } = settings;
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
  if (lease.renewSeconds * 3 > lease.durationSeconds) {
    faults.push({
      path: 'lease.renewSeconds',
      must: 'must be at most a third of lease.durationSeconds, so that two lost renewals cost no lease',
    });
  }
  if (settings.repository.kind === 's3' && settings.repository.s3.bucket === undefined) {
    faults.push({ path: 'repository.s3.bucket', must: 'must be set for a repository of kind s3' });
  }
  if (settings.repository.kind === 's3' && settings.repository.path !== undefined) {
    faults.push({ path: 'repository.path', must: 'must be left out for a repository of kind s3' });
  }
  const { secondSite } = settings.repository;
  if (secondSite.kind === 's3' && secondSite.s3.bucket === undefined)
    faults.push({ path: 'repository.secondSite.s3.bucket', must: 'must be set for a second site of kind s3' });
  if (secondSite.kind === 'folder' && secondSite.path === undefined)
    faults.push({ path: 'repository.secondSite.path', must: 'must be set for a second site of kind folder' });
  if (secondSite.kind === 'folder' && secondSite.path !== undefined && secondSite.path === settings.repository.path)
    faults.push({ path: 'repository.secondSite.path', must: 'must be another folder than that of the repository' });
  const { webhook, email } = settings.alerts;
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
  if (settings.role !== 'all' && settings.database.url === undefined) {
    faults.push({ path: 'database.url', must: `must be set for role ${settings.role}: the embedded database belongs to role all alone` });
  }
  return faults;
}
