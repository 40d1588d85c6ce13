import { Global, Module } from '@nestjs/common';
import type { Logger } from '../common/index.js';
import { CONFIG, LOGGER, MASTER_KEY, type VaultConfig } from '../config/index.js';
import { FolderStore } from './folder-store.js';
import { Repository } from './repository.js';
import type { RepositoryApi } from './types.js';

/** `@Inject(REPOSITORY) repository: RepositoryApi` */
export const REPOSITORY = Symbol('Repository');

/** Opens the configured repository, making it on the very first start. */
@Global()
@Module({
  providers: [
    {
      provide: REPOSITORY,
      inject: [CONFIG, MASTER_KEY, LOGGER],
      useFactory: async (config: VaultConfig, masterKey: Buffer, log: Logger): Promise<RepositoryApi> =>
        Repository.openOrCreate({ store: await FolderStore.open(config.repository.path), masterKey, log }),
    },
  ],
  exports: [REPOSITORY],
})
export class RepositoryModule {}
