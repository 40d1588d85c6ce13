import { type DynamicModule, Global, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import type { DataSourceOptions } from 'typeorm';

export interface DataSourceSettings {
  url: string;
  poolSize: number;
}

/** The schema belongs to the migrations; TypeORM never changes it. */
export function dataSourceOptions(settings: DataSourceSettings): DataSourceOptions {
  return {
    type: 'postgres',
    synchronize: false,
    migrationsRun: false,
    // Not `url`: TypeORM's own parser loses a UNIX socket's path; pg's reads the whole string.
    extra: { connectionString: settings.url, max: settings.poolSize, connectionTimeoutMillis: 15_000 },
    applicationName: 'vapp-vault',
    // Uses uuid-ossp otherwise, which would ask for CREATE EXTENSION.
    installExtensions: false,
  };
}

/** Rooms add their entities with TypeOrmModule.forFeature. */
@Global()
@Module({})
export class DatabaseModule {
  static forRoot(settings: DataSourceSettings): DynamicModule {
    return {
      module: DatabaseModule,
      imports: [TypeOrmModule.forRoot({ ...dataSourceOptions(settings), autoLoadEntities: true, retryAttempts: 0 })],
      exports: [TypeOrmModule],
    };
  }
}
