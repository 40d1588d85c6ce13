import { type DynamicModule, type FactoryProvider, Module, type ModuleMetadata } from '@nestjs/common';
import { CatalogModule } from '../catalog/index.js';
import { CLOUD_ACCESS, type CloudAccess, ScopeService } from './scope.service.js';
import { ScopesController } from './scopes.controller.js';

@Module({})
export class PolicyModule {
  /** Global: whoever starts runs may ask what a scope means. @param options how this room reaches a cloud. */
  static forRootAsync(
    options: Pick<FactoryProvider<CloudAccess>, 'inject' | 'useFactory'> & Pick<ModuleMetadata, 'imports'>,
  ): DynamicModule {
    return {
      module: PolicyModule,
      global: true,
      imports: [CatalogModule, ...(options.imports ?? [])],
      controllers: [ScopesController],
      providers: [{ provide: CLOUD_ACCESS, inject: options.inject ?? [], useFactory: options.useFactory }, ScopeService],
      exports: [ScopeService],
    };
  }
}
