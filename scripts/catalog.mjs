#!/usr/bin/env node
/** vapp-vault-catalog; needs the built service (`npm run build`) and nothing else. */
import { existsSync } from 'node:fs';

const built = new URL('../dist/src/catalog-tool.js', import.meta.url);
if (!existsSync(built)) {
  console.error('vapp-vault-catalog: the service is not built yet; run "npm run build" once');
  process.exit(1);
}
const { catalog } = await import(built.href);
const { VAPP_VAULT_MASTER_KEY: masterKey, ...environment } = process.env;
// PostgreSQL is started from here, and has no business with it.
delete process.env.VAPP_VAULT_MASTER_KEY;
process.exitCode = await catalog(process.argv.slice(2), { ...environment, VAPP_VAULT_MASTER_KEY: masterKey }, console.log, console.error);
