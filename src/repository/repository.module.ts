import { hostname } from 'node:os';
import {
  type BeforeApplicationShutdown,
  type DynamicModule,
  type FactoryProvider,
  Global,
  Inject,
  Module,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { Logger } from '../common/index.js';
import { CONFIG, FORMER_MASTER_KEY, LOGGER, MASTER_KEY, type BlobStoreSettings, type VaultConfig } from '../config/index.js';
import { databaseIdentity } from '../database/index.js';
import { DESCRIPTION_NAME } from './description.js';
import { RepositoryError, isRepositoryError } from './errors.js';
import { completeMasterKeyChange } from './master-key-change.js';
import { Repository } from './repository.js';
import { SecondSite } from './second-site.js';
import { ServiceClaim } from './service-claim.js';
import { openBlobStore } from './stores/open-store.js';
import { TwoSites } from './two-sites.js';
import type { BlobStore, RepositoryApi } from './types.js';

const DAY_MS = 24 * 60 * 60_000;

/** `@Inject(REPOSITORY) repository: RepositoryApi` */
export const REPOSITORY = Symbol('Repository');

const STORE = Symbol('BlobStore');

type RepositoryParts = { masterKey: Buffer; log: Logger; cores: number; indexMemoryBytes: number };

/** What the rooms above know of this service's repository. */
export interface RepositoryUse {
  /** Whether there was a repository: restore points are known that lie in it. */
  wasUsed(): Promise<boolean>;
}

const USE = Symbol('RepositoryUse');

/** Opens the configured repository, making it on the very first start. */
@Global()
@Module({})
export class RepositoryModule implements OnModuleInit, BeforeApplicationShutdown, OnApplicationShutdown {
  private claim: ServiceClaim | undefined;

  constructor(
    @Inject(STORE) private readonly store: BlobStore,
    @Inject(REPOSITORY) private readonly repository: RepositoryApi,
    @Inject(LOGGER) private readonly log: Logger,
    private readonly dataSource: DataSource,
  ) {}

  static forRootAsync(use: Pick<FactoryProvider<RepositoryUse>, 'inject' | 'useFactory'>): DynamicModule {
    return {
      module: RepositoryModule,
      providers: [
        { provide: USE, inject: use.inject ?? [], useFactory: use.useFactory },
        {
          provide: STORE,
          inject: [CONFIG, LOGGER],
          useFactory: (config: VaultConfig, log: Logger): Promise<BlobStore> => openBlobStore(config.repository, log),
        },
        {
          provide: REPOSITORY,
          inject: [STORE, MASTER_KEY, CONFIG, LOGGER, USE, { token: FORMER_MASTER_KEY, optional: true }],
          useFactory: openRepository,
        },
      ],
      exports: [REPOSITORY],
    };
  }

  /** @throws RepositoryError REPOSITORY_IN_USE: a service with another database works on it. */
  async onModuleInit(): Promise<void> {
    const service = { databaseId: await databaseIdentity(this.dataSource), hostName: hostname() };
    this.claim = await ServiceClaim.take(this.store, service, this.log);
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.claim?.release();
  }

  /** The last hook there is: runs that clean up after themselves in an earlier one still need the store. */
  async onApplicationShutdown(): Promise<void> {
    await this.repository.secondSite?.close();
    await this.store.close();
  }
}

async function openRepository(
  store: BlobStore,
  masterKey: Buffer,
  config: VaultConfig,
  log: Logger,
  use: RepositoryUse,
  formerMasterKey?: Buffer | null,
): Promise<RepositoryApi> {
  if (formerMasterKey && (await store.size(DESCRIPTION_NAME)) !== undefined) {
    const changed = await completeMasterKeyChange(store, { formerKey: formerMasterKey, newKey: masterKey });
    if (changed) log.warn("The repository's keys are wrapped with the new master key; make a new recovery key");
  }
  const { secondSite, cores, indexMemoryBytes } = config.repository;
  const parts = { masterKey, log, cores, indexMemoryBytes };
  if (secondSite.kind === 'none') return openOrBegin(store, parts, () => refuseIfUsed(use));
  if (isSamePlace(config.repository, secondSite)) {
    throw new RepositoryError('The second site of the repository is the place of the first; give it a place of its own', {
      code: 'SITE_FOREIGN',
    });
  }
  const options = { openStore: () => openBlobStore(secondSite, log), keepDeletedMs: secondSite.keepDeletedDays * DAY_MS, log };
  const first = await openOrBegin(store, parts, async () => {
    await refuseIfSecondHolds(options.openStore);
    await refuseIfUsed(use);
  });
  return new TwoSites(first, new SecondSite(first, parts, options), log);
}

/** A copy in the same place is none. */
function isSamePlace(first: BlobStoreSettings, second: BlobStoreSettings): boolean {
  if (first.kind === 'folder') return second.kind === 'folder' && first.path === second.path;
  if (second.kind === 'folder') return false;
  const placeOf = ({ s3: { endpoint, region, bucket, prefix } }: typeof first) => [endpoint ?? region, bucket, prefix ?? ''].join('\0');
  return placeOf(first) === placeOf(second);
}

/**
 * Opens what is there. A place where nothing is may be a mount that is missing, and what was begun anew below a mount point would be hidden
 * with all its backups as soon as that is mounted: so a repository is begun only where `mayBegin` has nothing against it.
 */
async function openOrBegin(store: BlobStore, parts: RepositoryParts, mayBegin: () => Promise<void>): Promise<Repository> {
  try {
    return await Repository.open({ store, ...parts });
  } catch (error) {
    if (!isRepositoryError(error, 'REPOSITORY_NOT_FOUND')) throw error;
  }
  await mayBegin();
  // Another instance may begin it at the same moment.
  return Repository.openOrCreate({ store, ...parts });
}

/** @throws RepositoryError REPOSITORY_NOT_FOUND: there was one. */
async function refuseIfUsed(use: RepositoryUse): Promise<void> {
  if (!(await use.wasUsed())) return;
  throw new RepositoryError(
    'The place of the repository is empty, and the database knows restore points in it; mount it, or name the place where it is now in the settings (a new repository is begun only with a database that knows none)',
    { code: 'REPOSITORY_NOT_FOUND' },
  );
}

/** @throws RepositoryError REPOSITORY_NOT_FOUND: beside a second site that holds a repository the first one lost it, or is not mounted. */
async function refuseIfSecondHolds(openSecond: () => Promise<BlobStore>): Promise<void> {
  const second = await openSecond();
  try {
    if ((await second.size(DESCRIPTION_NAME)) === undefined) return;
  } finally {
    await second.close();
  }
  throw new RepositoryError(
    'The first site of the repository is empty and the second one is not; mount it, or exchange the two in the settings, and the copies come back by themselves',
    { code: 'REPOSITORY_NOT_FOUND' },
  );
}
