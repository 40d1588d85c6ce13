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

const path = z.string('must be a path').min(1, 'must not be empty');
const postgresUrl = z
  .string('must be a postgres:// URL')
  .refine((value) => /^postgres(ql)?:$/.test(URL.parse(value)?.protocol ?? ''), 'must be a postgres:// URL');

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
  repository: z.strictObject({ kind: oneOf(['folder']).default('folder'), path: path.optional() }).prefault({}),
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
        .default('nbdssl:nbd'),
      // VMware's recommendation for NBD asynchronous I/O: buffers of 16 x 64 KiB, four of them.
      nfcAioBufferSizeIn64KiB: whole(1, 64).default(16),
      nfcAioBufferCount: whole(1, 64).default(4),
      ioDepth: whole(1, 64).default(4),
      maxRequestBytes: multiple(SECTOR_BYTES, 64 * KIB, 32 * MIB).default(2 * MIB),
      memoryBytes: multiple(MIB, MIB, 4096 * MIB).default(64 * MIB),
      operationTimeoutSeconds: whole(1, 86_400, 'seconds').default(600),
    })
    .prefault({}),
  limits: z
    .strictObject({
      runsPerWorker: whole(1, 64).default(2),
      disksPerRun: whole(1, 64).default(2),
      vcenterConnections: whole(1, 256).default(32),
    })
    .prefault({}),
  lease: z
    .strictObject({
      durationSeconds: whole(3, 3600, 'seconds').default(60),
      renewSeconds: whole(1, 1200, 'seconds').default(15),
      sweepSeconds: whole(1, 3600, 'seconds').default(20),
    })
    .prefault({}),
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
  VAPP_VAULT_REPOSITORY_KIND: 'repository.kind',
  VAPP_VAULT_REPOSITORY_PATH: 'repository.path',
  VAPP_VAULT_VDDK_LIBRARY_DIR: 'vddk.libraryDir',
  VAPP_VAULT_VDDK_TEMPORARY_DIR: 'vddk.temporaryDir',
  VAPP_VAULT_VDDK_TRANSPORT_MODES: 'vddk.transportModes',
  VAPP_VAULT_VDDK_NFC_AIO_BUFFER_SIZE_IN_64KIB: 'vddk.nfcAioBufferSizeIn64KiB',
  VAPP_VAULT_VDDK_NFC_AIO_BUFFER_COUNT: 'vddk.nfcAioBufferCount',
  VAPP_VAULT_VDDK_IO_DEPTH: 'vddk.ioDepth',
  VAPP_VAULT_VDDK_MAX_REQUEST_BYTES: 'vddk.maxRequestBytes',
  VAPP_VAULT_VDDK_MEMORY_BYTES: 'vddk.memoryBytes',
  VAPP_VAULT_VDDK_OPERATION_TIMEOUT_SECONDS: 'vddk.operationTimeoutSeconds',
  VAPP_VAULT_RUNS_PER_WORKER: 'limits.runsPerWorker',
  VAPP_VAULT_DISKS_PER_RUN: 'limits.disksPerRun',
  VAPP_VAULT_VCENTER_CONNECTIONS: 'limits.vcenterConnections',
  VAPP_VAULT_LEASE_DURATION_SECONDS: 'lease.durationSeconds',
  VAPP_VAULT_LEASE_RENEW_SECONDS: 'lease.renewSeconds',
  VAPP_VAULT_LEASE_SWEEP_SECONDS: 'lease.sweepSeconds',
};

/** Settings whose value is a file or folder. */
export const PATHS: readonly string[] = ['dataDir', 'masterKeyFile', 'repository.path', 'vddk.libraryDir', 'vddk.temporaryDir'];
/** Settings whose value may carry a password, and so is never repeated in a message. */
export const SECRETS: readonly string[] = ['database.url'];

/** What no single field can see. */
export function crossFaults(settings: Settings): { path: string; must: string }[] {
  const faults: { path: string; must: string }[] = [];
  const { vddk, lease } = settings;
  if (vddk.memoryBytes < vddk.ioDepth * vddk.maxRequestBytes) {
    faults.push({
      path: 'vddk.memoryBytes',
      must: `must hold ioDepth requests of maxRequestBytes, ${vddk.ioDepth * vddk.maxRequestBytes} bytes`,
    });
  }
  if (lease.renewSeconds * 3 > lease.durationSeconds) {
    faults.push({
      path: 'lease.renewSeconds',
      must: 'must be at most a third of lease.durationSeconds, so that two lost renewals cost no lease',
    });
  }
  if (settings.role !== 'all' && settings.database.url === undefined) {
    faults.push({ path: 'database.url', must: `must be set for role ${settings.role}: the embedded database belongs to role all alone` });
  }
  return faults;
}
