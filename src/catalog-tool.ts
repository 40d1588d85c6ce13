/** vapp-vault-catalog: brings the catalog back from the repository alone, with the settings of the service. */
import 'reflect-metadata';
import { parseArgs } from 'node:util';
import { type DynamicModule, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CatalogModule, CatalogService } from './catalog/index.js';
import { createLogger, type Logger } from './common/index.js';
import { ConfigModule, loadConfig, openMasterKey, type VaultConfig } from './config/index.js';
import { DatabaseModule, startDatabase } from './database/index.js';
import { NestLogger } from './http/index.js';
import { rebuildCatalog } from './maintenance/index.js';
import { openBlobStore, REPOSITORY, Repository } from './repository/index.js';
import { explain, UsageError } from './repository-tools.js';

const USAGE = `usage:
  vapp-vault-catalog rebuild

Brings every restore point of the repository that the catalog does not know into it, with its organization, VDC, vApp, VMs and disks.
Settings are those of the service (VAPP_VAULT_…). With the embedded database, stop the service first. Deletes nothing; interrupted, run it
again. Prints one line of JSON for each restore point that cannot be brought back, and one at the end; register the clouds it names again
afterwards. Ends with 0, with 1 when it could not do it, with 3 when something is damaged.
`;

const DAMAGED = 3;

/** @returns the exit code. */
export async function catalog(
  argv: readonly string[],
  environment: NodeJS.ProcessEnv,
  say: (line: string) => void,
  complain: (line: string) => void,
): Promise<number> {
  try {
    const { positionals } = parseArgs({ args: [...argv], allowPositionals: true, options: {} });
    if (positionals.length !== 1 || positionals[0] !== 'rebuild') throw new UsageError('the command is "rebuild"');
    const { VAPP_VAULT_MASTER_KEY: text, ...rest } = environment;
    const config = loadConfig(rest);
    const { damaged, ...report } = await rebuild(config, text === '' ? undefined : text);
    for (const finding of damaged) say(JSON.stringify(finding));
    say(JSON.stringify({ ...report, damaged: damaged.length }));
    return damaged.length > 0 ? DAMAGED : 0;
  } catch (error) {
    complain(explain(error, 'vapp-vault-catalog', USAGE));
    return 1;
  }
}

async function rebuild(config: VaultConfig, text: string | undefined) {
  const log = createLogger('warn');
  const masterKey = await openMasterKey({ ...config.masterKey, text, makeIfMissing: false });
  const store = await openBlobStore(config.repository, log);
  try {
    // Never made here: an empty place would be a typing error.
    const repository = await Repository.open({ store, masterKey, log, indexMemoryBytes: config.repository.indexMemoryBytes });
    const database = await startDatabase({ ...config.database, dataDir: config.dataDir, log });
    try {
      const module = CatalogTool.with({ config, log, masterKey, databaseUrl: database.url, repository });
      const application = await NestFactory.createApplicationContext(module, { logger: new NestLogger(log), abortOnError: false });
      try {
        return await rebuildCatalog(repository, application.get(CatalogService));
      } finally {
        await application.close();
      }
    } finally {
      await database.stop();
    }
  } finally {
    await store.close();
  }
}

interface Parts {
  config: VaultConfig;
  log: Logger;
  masterKey: Buffer;
  databaseUrl: string;
  repository: Repository;
}

@Module({})
class CatalogTool {
  static with({ config, log, masterKey, databaseUrl, repository }: Parts): DynamicModule {
    const opened = { provide: REPOSITORY, useValue: repository };
    return {
      module: CatalogTool,
      global: true,
      imports: [
        ConfigModule.forRoot({ config, log, masterKey }),
        DatabaseModule.forRoot({ url: databaseUrl, poolSize: config.database.poolSize }),
        CatalogModule,
      ],
      providers: [opened],
      exports: [opened],
    };
  }
}
