import { writeSync } from 'node:fs';
import { describeError, VaultError } from './common/index.js';
import { loadConfig } from './config/index.js';
import { type RunningService, startService } from './service.js';

/** Longer than the grace of runs and of the database together; what comes after it and the drain time, hangs. */
const STOP_TIMEOUT_MS = 60_000;
let drainMs = 0;

async function main(): Promise<void> {
  const { VAPP_VAULT_INITIAL_API_KEY: initialApiKey, VAPP_VAULT_MASTER_KEY: masterKey, ...environment } = process.env;
  // Processes started from here (vddk-host, PostgreSQL) have no business with them.
  delete process.env.VAPP_VAULT_INITIAL_API_KEY;
  delete process.env.VAPP_VAULT_MASTER_KEY;
  const config = loadConfig(environment);
  drainMs = config.shutdown.drainMs;
  const starting = startService(config, {
    initialApiKey: initialApiKey === '' ? undefined : initialApiKey,
    masterKey: masterKey === '' ? undefined : masterKey,
    onDatabaseLost: (error) => {
      process.stderr.write(`vApp Vault must stop: ${error.message}\n`);
      void stop(starting, 1);
    },
  });
  // Not Nest's shutdown hooks: they end the process by the signal itself, and a stop that was asked
  // for is a success. Set before the start has ended, so that a signal leaves no database behind.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => void stop(starting, 0));
  const service = await starting;
  if (stopping) return;
  const where = service.url === undefined ? 'works (role worker, does not listen)' : `listens on ${service.url}`;
  process.stdout.write(`vApp Vault ${where}; its data lies in ${config.dataDir}\n`);
}

let stopping = false;

async function stop(starting: Promise<RunningService>, exitCode: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  const timeoutMs = drainMs + STOP_TIMEOUT_MS;
  setTimeout(() => endAtOnce(`vApp Vault did not stop within ${timeoutMs / 1000} s and is ended.`), timeoutMs).unref();
  try {
    const service = await starting.catch(() => undefined);
    await service?.close();
    leave(exitCode);
  } catch (error) {
    leave(1, `vApp Vault could not stop cleanly: ${describeError(error)}`);
  }
}

/**
 * Not process.exit: it waits for every thread, and one that is in a call to a file system that hangs comes back with the file system
 * alone. The embedded database and VDDK's hosts hang on a line to this process, and end with it.
 */
function endAtOnce(sentence: string): void {
  try {
    writeSync(process.stderr.fd, `${sentence}\n`);
  } finally {
    process.kill(process.pid, 'SIGKILL');
  }
}

function leave(exitCode: number, sentence?: string): never {
  if (sentence !== undefined) process.stderr.write(`${sentence}\n`);
  process.exit(exitCode);
}

try {
  await main();
} catch (error) {
  const reason = error instanceof VaultError ? error.message : describeError(error);
  leave(1, `vApp Vault cannot start. ${reason}`);
}
