#!/usr/bin/env node
/** vapp-vault-keys; needs the built service (`npm run build`) and nothing else. */
import { existsSync } from 'node:fs';

const built = new URL('../dist/src/keys.js', import.meta.url);
if (!existsSync(built)) {
  console.error('vapp-vault-keys: the service is not built yet; run "npm run build" once');
  process.exit(1);
}
const { keys } = await import(built.href);
process.exitCode = await keys(process.argv.slice(2), console.log, console.error);
