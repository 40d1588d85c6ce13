import { type DynamicModule, Inject, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AccessGuard } from './access.guard.js';
import { ApiKeyEntity } from './api-key.entity.js';
import { ApiKeyService } from './api-key.service.js';
import { isApiKey } from './api-key.js';
import { ApiKeysController } from './api-keys.controller.js';

export interface AccessOptions {
  /** The first key, chosen by whoever sets up the service; used only while there is no key at all. */
  initialApiKey: string | undefined;
  /** Shows the first key to the person who started the service; once in a database's life, and once more for each start that ended there. */
  showFirstKey: (key: string) => void;
}

const ACCESS_OPTIONS = Symbol('ACCESS_OPTIONS');

@Module({})
export class AccessModule implements OnApplicationBootstrap {
  constructor(
    private readonly keys: ApiKeyService,
    @Inject(ACCESS_OPTIONS) private readonly options: AccessOptions,
  ) {}

  /** @throws RangeError when the initial key has not the form of a key. */
  static forRoot(options: AccessOptions): DynamicModule {
    if (options.initialApiKey !== undefined && !isApiKey(options.initialApiKey)) {
      throw new RangeError('VAPP_VAULT_INITIAL_API_KEY must be "vv_" and 43 base64url characters (32 random bytes).');
    }
    return {
      module: AccessModule,
      imports: [TypeOrmModule.forFeature([ApiKeyEntity])],
      controllers: [ApiKeysController],
      providers: [ApiKeyService, { provide: ACCESS_OPTIONS, useValue: options }, { provide: APP_GUARD, useClass: AccessGuard }],
    };
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.keys.ensureFirstKey(this.options.initialApiKey, this.options.showFirstKey);
  }
}
