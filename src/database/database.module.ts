import { type DynamicModule, Global, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import type { DataSourceOptions } from 'typeorm';
import { connectionTo } from './connection.js';

export interface DataSourceSettings {
  url: string;
  poolSize: number;
  /** For each statement; `connectionTo` has the default. */
  answerWithinMs?: number;
}

/** The schema belongs to the migrations; TypeORM never changes it. */
export function dataSourceOptions(settings: DataSourceSettings): DataSourceOptions {
  return {
    type: 'postgres',
    synchronize: false,
    migrationsRun: false,
    extra: { ...connectionTo(settings.url, settings.answerWithinMs), max: settings.poolSize },
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
