import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkRecord, describeResult, findLxml, findSchemas } from './schema-check.mjs';

/**
 * A reporter of Vitest's that records every body of the whole run and, at its end, holds each against VMware's schemas.
 * It stands before the reporter with the closing line. Where the schemas or lxml are missing it says so.
 */
export default class SchemaReporter {
  onInit() {
    // Somebody else records and checks.
    if (process.env.VAPP_VAULT_RECORD_DIR) return;
    const schemas = findSchemas();
    const { python, reason, broken } = schemas.folder === undefined ? schemas : findLxml();
    this.reason = reason ?? broken;
    if (python === undefined) return;
    this.python = python;
    this.schemas = schemas.folder;
    this.record = mkdtempSync(join(tmpdir(), 'vapp-vault-bodies-'));
    // Workers inherit it; each cell they start records there (test/simulator/vcd/body-record.ts).
    process.env.VAPP_VAULT_RECORD_DIR = this.record;
  }

  /** Synchronous: what is not valid counts as an error of the run before the next reporter counts. */
  onTestRunEnd(_modules, unhandledErrors) {
    if (this.reason !== undefined) console.log(`The bodies are not held against VMware's schemas: ${this.reason}`);
    if (this.record === undefined) return;
    const result = checkRecord(this.python, this.schemas, this.record);
    const lines = describeResult(result, this.record);
    if (result.valid.request + result.valid.response + result.invalid.length > 0) console.log(lines.join('\n'));
    if (result.invalid.length === 0) {
      rmSync(this.record, { recursive: true, force: true });
      return;
    }
    unhandledErrors.push({ name: 'SchemaError', message: lines[0] });
    process.exitCode = 1;
  }
}
