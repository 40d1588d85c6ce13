#!/usr/bin/env node
/**
 * Every body that the service sends or the simulated cell answers, held against VMware's own schemas.
 *
 *   node test/interop/schema/run.mjs            runs the specs of flow, contract and cell, recording; installs lxml where there is none
 *   node test/interop/schema/run.mjs FOLDER     checks what VAPP_VAULT_RECORD_DIR=FOLDER recorded
 *
 * `npm test` does the same for all its specs where the schemas and lxml are there (schema-reporter.mjs).
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkRecord, describeResult, findLxml, findSchemas, prepareLxml } from './schema-check.mjs';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const SPECS = ['test/flow', 'test/contract/vcd', 'test/contract/clouds', 'test/simulator/vcd'];
const SPECS_TIMEOUT_MS = 15 * 60_000;

/** @returns the exit code of the specs. */
function runSpecs(record) {
  const child = spawn(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...SPECS], {
    cwd: root,
    env: { ...process.env, VAPP_VAULT_RECORD_DIR: record, NO_COLOR: '1' },
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: SPECS_TIMEOUT_MS,
  });
  return new Promise((done, fail) => child.once('close', (code) => done(code ?? 1)).once('error', fail));
}

async function main(given) {
  const schemas = findSchemas();
  const { python, reason } = schemas.folder === undefined ? schemas : given === undefined ? prepareLxml() : findLxml();
  if (schemas.broken !== undefined) {
    console.log(`FAILED schema: ${schemas.broken}`);
    return 1;
  }
  if (reason !== undefined || python === undefined) {
    console.log(`skipped schema: ${reason}`);
    return 0;
  }
  const record = given === undefined ? mkdtempSync(join(tmpdir(), 'vapp-vault-bodies-')) : resolve(given);
  let keep = given !== undefined;
  try {
    const specs = given === undefined ? await runSpecs(record) : 0;
    const result = checkRecord(python, schemas.folder, record);
    for (const line of describeResult(result, record)) console.log(line);
    if (result.valid.response === 0) console.log('FAILED schema: nothing was recorded');
    keep ||= result.invalid.length > 0;
    return specs === 0 && result.invalid.length === 0 && result.valid.response > 0 ? 0 : 1;
  } finally {
    if (!keep) rmSync(record, { recursive: true, force: true });
  }
}

process.exitCode = await main(process.argv[2]);
