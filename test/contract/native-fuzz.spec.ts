import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REPOSITORY_ROOT, STANDIN_DIR } from './vddk-fixtures.js';

const NATIVE = join(REPOSITORY_ROOT, 'native');
/** Enough for the corpus and some hundred edits of it; `npm run sanitize` goes on longer, with sanitizers. */
const SECONDS = '1.5';
const exec = promisify(execFile);
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'vault-fuzz-'));
  await exec('make', ['-C', NATIVE, 'fuzz'], { timeout: 280_000 });
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('mutated input', () => {
  it.each([
    ['protocol', 'protocol'],
    ['disk', 'descriptor'],
  ])('never crashes or hangs fuzz-%s', async (fuzzer, corpus) => {
    const env = { PATH: process.env.PATH, VDDK_LIBRARY_DIR: STANDIN_DIR, FUZZ_QUIET: '1' };
    const parameters = [SECONDS, '1', join(NATIVE, 'fuzz', 'corpus', corpus), folder];
    const { stdout } = await exec(join(NATIVE, 'build', 'fuzz', `fuzz-${fuzzer}`), parameters, { env, timeout: 50_000 });
    const [, inputs] = /: (\d+) inputs/.exec(stdout) ?? [];
    expect(Number(inputs)).toBeGreaterThan(5);
  });
});
