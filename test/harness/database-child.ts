import { silentLogger } from '../../src/common/index.js';
import { startDatabase } from '../../src/database/index.js';

/** A service to be killed: starts the embedded database in the folder VAPP_VAULT_TEST_DATA_DIR names, says so, and stays. */
const database = await startDatabase({
  url: undefined,
  dataDir: process.env.VAPP_VAULT_TEST_DATA_DIR ?? '',
  poolSize: 4,
  startTimeoutMs: 60_000,
  log: silentLogger,
});
process.stdout.write(`${JSON.stringify({ url: database.url, clusterDir: database.clusterDir })}\n`);
setInterval(() => undefined, 60_000);
