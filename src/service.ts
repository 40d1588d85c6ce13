import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { AlertTimes } from './alerts/index.js';
import { AppModule, type Settled } from './app.module.js';
import { type Clock, createLogger, describeError, type Logger, VaultError } from './common/index.js';
import { openMasterKey, type VaultConfig } from './config/index.js';
import { type DatabaseError, startDatabase } from './database/index.js';
import { configureHttp, NestLogger } from './http/index.js';
import { JobsModule, type JobsSettings } from './jobs/index.js';

export interface ServiceOptions {
  /** Defaults to standard output at the configured level. */
  log?: Logger;
  initialApiKey?: string;
  /** The master key in base64, instead of its file or command. */
  masterKey?: string;
  /** Called with the first key made, just before it is stored for good; defaults to a block on standard output. */
  showFirstKey?: (key: string) => void;
  jobs?: Partial<JobsSettings>;
  alerts?: Partial<AlertTimes>;
  /** What time it is for policies; the machine's where nothing is said. */
  clock?: Clock | undefined;
  /** The embedded database ended by itself; nothing can be done but to end. */
  onDatabaseLost?: (error: DatabaseError) => void;
}

export interface RunningService {
  /** http://host:port; undefined in the role `worker`, which does not listen. */
  readonly url: string | undefined;
  /** Aborts runs and lets them clean up, then stops listening, then the database. Safe to call twice. */
  close(): Promise<void>;
}

/** The address the service should listen on is taken, or not this machine's. */
export class ListenError extends VaultError {
  constructor(host: string, port: number, cause: unknown) {
    super(`It cannot listen on ${host}:${port}: ${describeError(cause)}. Free the port, or set VAPP_VAULT_PORT and VAPP_VAULT_HOST.`, {
      code: 'LISTEN_FAILED',
      subject: `${host}:${port}`,
      cause,
    });
  }
}

/** @throws VaultError when something the service needs is not there; nothing is left running. */
export async function startService(config: VaultConfig, options: ServiceOptions = {}): Promise<RunningService> {
  const log = options.log ?? createLogger(config.logLevel);
  const masterKey = await openMasterKey({ ...config.masterKey, text: options.masterKey });
  const formerMasterKey = config.formerMasterKey && (await openMasterKey(config.formerMasterKey));
  const database = await startDatabase({ ...config.database, dataDir: config.dataDir, log, onLost: options.onDatabaseLost });
  try {
    const { application, url } = await startApplication({
      config,
      log,
      masterKey,
      formerMasterKey,
      databaseUrl: database.url,
      access: { initialApiKey: options.initialApiKey, showFirstKey: options.showFirstKey ?? printFirstKey },
      jobs: options.jobs,
      alerts: options.alerts,
      clock: options.clock,
    });
    let closing: Promise<void> | undefined;
    const close = async () => {
      try {
        await closeApplication(application);
      } finally {
        await database.stop();
      }
    };
    return {
      url,
      close: () => {
        closing ??= close();
        return closing;
      },
    };
  } catch (error) {
    await database.stop();
    throw error;
  }
}

async function startApplication(settled: Settled): Promise<{ application: INestApplicationContext; url: string | undefined }> {
  const { config, log } = settled;
  const nestOptions = { logger: new NestLogger(log), abortOnError: false };
  if (config.role === 'worker') {
    return { application: await NestFactory.createApplicationContext(AppModule.forRoot(settled), nestOptions), url: undefined };
  }
  const application = await NestFactory.create<NestExpressApplication>(AppModule.forRoot(settled), {
    ...nestOptions,
    // Event streams and idle keep-alive connections would hold up the end.
    forceCloseConnections: true,
  });
  try {
    configureHttp(application, log);
    // Before it listens: what a room cannot start with is no fault of the address.
    await application.init();
    await application.listen(config.http.port, config.http.host).catch((cause: unknown) => {
      throw new ListenError(config.http.host, config.http.port, cause);
    });
    return { application, url: urlOf(application.getHttpServer().address() as AddressInfo) };
  } catch (error) {
    await closeApplication(application);
    throw error;
  }
}

/**
 * Runs end first, while everything they need to clean up is still there: Nest would close the
 * rooms in the order of their distance from the root.
 */
async function closeApplication(application: INestApplicationContext): Promise<void> {
  await application.get(JobsModule, { strict: false }).onModuleDestroy();
  await application.close();
}

function urlOf(address: AddressInfo): string {
  return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
}

function printFirstKey(key: string): void {
  process.stdout.write(
    [
      '',
      '  ┌─ API key ─────────────────────────────────────────────────────',
      `  │  ${key}`,
      '  │  This is the first key of this service, with every right.',
      '  │  It is shown this once and stored nowhere: keep it now.',
      '  └───────────────────────────────────────────────────────────────',
      '',
      '',
    ].join('\n'),
  );
}
