import { type DynamicModule, Global, Module } from '@nestjs/common';
import type { Logger } from '../common/index.js';
import type { VaultConfig } from './types.js';

/** `@Inject(CONFIG) config: VaultConfig` */
export const CONFIG = Symbol('VaultConfig');
/** `@Inject(LOGGER) log: Logger` */
export const LOGGER = Symbol('Logger');
/** `@Inject(MASTER_KEY) masterKey: Buffer` */
export const MASTER_KEY = Symbol('MasterKey');

/** `@Optional() @Inject(FORMER_MASTER_KEY) former: Buffer | null`: while the master key is being changed. */
export const FORMER_MASTER_KEY = Symbol('FormerMasterKey');

/** Gives every module what was settled before Nest began: the configuration, the log and the master key. */
@Global()
@Module({})
export class ConfigModule {
  static forRoot(settled: { config: VaultConfig; log: Logger; masterKey: Buffer; formerMasterKey?: Buffer | undefined }): DynamicModule {
    return {
      module: ConfigModule,
      providers: [
        { provide: CONFIG, useValue: settled.config },
        { provide: LOGGER, useValue: settled.log },
        { provide: MASTER_KEY, useValue: settled.masterKey },
        { provide: FORMER_MASTER_KEY, useValue: settled.formerMasterKey ?? null },
      ],
      exports: [CONFIG, LOGGER, MASTER_KEY, FORMER_MASTER_KEY],
    };
  }
}
