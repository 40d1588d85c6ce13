/** How often a failure of VDDK is met, and how long after each. */
export interface RetrySetting {
  /** Tries altogether, the first included. */
  readonly attempts: number;
  readonly delayMs: number;
}

/** A place for objects. */
export type BlobStoreSettings = {
  /** Averages for this process; without them the line decides. */
  readonly uploadBytesPerSecond: number | undefined;
  readonly downloadBytesPerSecond: number | undefined;
} & ({ readonly kind: 'folder'; readonly path: string } | { readonly kind: 's3'; readonly s3: S3Settings });

/** Where restore points lie, and where they are copied to. */
export type RepositorySettings = BlobStoreSettings & {
  /** Threads for digests, compression and encryption. */
  readonly cores: number;
  /** What the index of one organization may take of this process's memory. */
  readonly indexMemoryBytes: number;
  readonly secondSite:
    | ({
        /** How long what was deleted at the first site stays. */
        readonly keepDeletedDays: number;
        /** Otherwise only by schedule. */
        readonly copyAfterBackup: boolean;
      } & BlobStoreSettings)
    | { readonly kind: 'none' };
};

/** Cron expressions in UTC, or 'off'. */
export interface MaintenanceSettings {
  readonly verifySchedule: string;
  /** A scheduled verification reads what is new, and of the rest so much that all of it is read in this time. */
  readonly verifyEverythingWithinDays: number;
  readonly gcSchedule: string;
  readonly gcGraceHours: number;
  /** Catching up with what the second site lacks. */
  readonly copySchedule: string;
}

/** Without the keys: they are in a file or in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and stay there. */
export interface S3Settings {
  /** Undefined: Amazon's of the region. */
  readonly endpoint: string | undefined;
  readonly bucket: string;
  readonly prefix: string | undefined;
  readonly region: string;
  readonly pathStyle: boolean;
  readonly caFile: string | undefined;
  readonly credentialsFile: string | undefined;
  readonly requestTimeoutMs: number;
  readonly partBytes: number;
  readonly retentionMode: 'governance' | 'compliance';
}

/** Where alerts are posted to. */
export interface WebhookSettings {
  /** May carry a token: never in a log or an error. */
  readonly url: string;
  readonly secretFile: string;
  readonly caFile?: string | undefined;
}

/** Who tells of alerts by mail, and whom. */
export interface EmailSettings {
  readonly host: string;
  readonly port: number;
  /** `tls` from the first byte, `starttls` or no mail at all, or `none` for a relay on this machine. */
  readonly security: 'tls' | 'starttls' | 'none';
  readonly userName?: string | undefined;
  readonly passwordFile?: string | undefined;
  readonly caFile?: string | undefined;
  readonly from: string;
  readonly to: readonly string[];
}

export type Role = 'all' | 'api' | 'worker';

/** Everything a person can set, validated and frozen. All paths are absolute. */
export interface VaultConfig {
  readonly role: Role;
  readonly logLevel: string;
  /** Everything the service writes on its own lies below. */
  readonly dataDir: string;
  /** Port 0 takes any free one. */
  readonly http: { readonly host: string; readonly port: number };
  readonly database: {
    /** Carries a password: never log it. Undefined starts the embedded PostgreSQL. */
    readonly url: string | undefined;
    readonly poolSize: number;
    readonly startTimeoutMs: number;
  };
  readonly masterKey: {
    readonly path: string;
    /** Only at the default place: a key a person named and which is not there is a fault, not a wish. */
    readonly makeIfMissing: boolean;
    /** Run by a shell, instead of reading the file; prints the key in base64. */
    readonly command?: string | undefined;
  };
  /** While the master key is being changed: what it sealed in the database is sealed anew. */
  readonly formerMasterKey: { readonly path: string; readonly makeIfMissing: false; readonly command?: string | undefined } | undefined;
  readonly repository: RepositorySettings;
  readonly maintenance: MaintenanceSettings;
  readonly vddk: {
    /** VMware's distribution root. Undefined: backups and restores refuse with one sentence. */
    readonly libraryDir: string | undefined;
    readonly temporaryDir: string;
    /** Joined by colons, in order of preference. */
    readonly transportModes: string;
    readonly transportFallback: 'allow' | 'refuse';
    readonly compression: 'none' | 'zlib' | 'fastlz' | 'skipz';
    /** The registered clouds are VMware Cloud: HotAdd alone. */
    readonly vmwareCloud: boolean;
    readonly retries: {
      readonly reconnect: RetrySetting;
      readonly soon: RetrySetting;
      readonly once: RetrySetting;
    };
    readonly migrationWait: RetrySetting;
    readonly library: {
      readonly transportLogLevel: number;
      readonly nfcLogLevel: number;
      readonly nfcAcceptTimeoutMs: number;
      readonly nfcRequestTimeoutMs: number;
      readonly nfcReadTimeoutMs: number;
      readonly nfcWriteTimeoutMs: number;
      readonly nfcFileSystemTimeoutMs: number;
      readonly nfcFileSystemWriteTimeoutMs: number;
      readonly sanDenyList?: string | undefined;
      readonly sanAllowList?: string | undefined;
      readonly enableCache: boolean;
      readonly enableFips: boolean;
      readonly hotAddWithoutNfc: boolean;
      readonly phoneHome?:
        | { readonly productName: string; readonly productVersion: string; readonly databaseDir?: string | undefined }
        | undefined;
    };
    readonly nfcAioBufferSizeIn64KiB: number;
    readonly nfcAioBufferCount: number;
    readonly ioDepth: number;
    readonly maxRequestBytes: number;
    readonly memoryBytes: number;
    readonly operationTimeoutMs: number;
  };
  readonly limits: {
    readonly runsPerWorker: number;
    /** Over all workers. */
    readonly runsPerOrganization: number;
    readonly disksPerRun: number;
    /** Downloads of disks and packages under way, in this process. */
    readonly concurrentExports: number;
    /** Disks that are open through one vCenter. */
    readonly vcenterConnections: number;
    readonly disksPerEsxiHost: number;
    readonly nfcBytesPerEsxiHost: number;
  };
  readonly lease: {
    /** A run whose lease is older than this is anybody's. */
    readonly durationMs: number;
    readonly renewMs: number;
    /** How often lost leases are looked for. */
    readonly sweepMs: number;
    /** How long a request of a dead worker may still be on its way to a cloud. */
    readonly lateRequestMs: number;
  };
  /** For how long runs that have ended are remembered where nothing needs them. */
  readonly runs: { readonly rememberDays: number };
  readonly policies: {
    /** How often a worker looks what is due. */
    readonly tickMs: number;
    /** Metadata of an object with which its tenant chooses among the offered policies. */
    readonly metadataKey: string;
    readonly metadataRefreshMinutes: number;
    /** How often retention looks what it no longer keeps. */
    readonly retentionMinutes: number;
  };
  /** 0: only when somebody asks. */
  readonly inventory: { readonly refreshMinutes: number };
  readonly alerts: {
    readonly lookMs: number;
    /** Less than this of the repository's file system is an alert, less than half of it a critical one. */
    readonly repositoryFreePercent: number;
    readonly stuckObligationMinutes: number;
    readonly stalledQueueMinutes: number;
    readonly webhook: WebhookSettings | undefined;
    readonly email: EmailSettings | undefined;
  };
  readonly shutdown: {
    /** What runs under way get to end by themselves before they are handed over. */
    readonly drainMs: number;
  };
}
