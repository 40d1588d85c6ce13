#!/usr/bin/env node
/** vapp-vault-extract; needs the built service (`npm run build`) and nothing else. */
import { existsSync } from 'node:fs';

const built = new URL('../dist/src/extract.js', import.meta.url);
if (!existsSync(built)) {
  console.error('vapp-vault-extract: the service is not built yet; run "npm run build" once');
  process.exit(1);
}
const { extract } = await import(built.href);
process.exitCode = await extract(process.argv.slice(2), console.log, console.error);
