import { Global, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { Logger } from '../common/index.js';
import { CONFIG, LOGGER, MASTER_KEY, type VaultConfig } from '../config/index.js';
import { Repository } from './repository.js';
import { openBlobStore } from './stores/open-store.js';
import type { BlobStore, RepositoryApi } from './types.js';

/** `@Inject(REPOSITORY) repository: RepositoryApi` */
export const REPOSITORY = Symbol('Repository');

const STORE = Symbol('BlobStore');

/** Opens the configured repository, making it on the very first start. */
@Global()
@Module({
  providers: [
    {
      provide: STORE,
      inject: [CONFIG, LOGGER],
      useFactory: (config: VaultConfig, log: Logger): Promise<BlobStore> => openBlobStore(config.repository, log),
    },
    {
      provide: REPOSITORY,
      inject: [STORE, MASTER_KEY, LOGGER],
      useFactory: (store: BlobStore, masterKey: Buffer, log: Logger): Promise<RepositoryApi> =>
        Repository.openOrCreate({ store, masterKey, log }),
    },
  ],
  exports: [REPOSITORY],
})
export class RepositoryModule implements OnApplicationShutdown {
  constructor(@Inject(STORE) private readonly store: BlobStore) {}

  /** The last hook there is: runs that clean up after themselves in an earlier one still need the store. */
  async onApplicationShutdown(): Promise<void> {
    await this.store.close();
  }
}
