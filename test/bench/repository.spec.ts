import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BenchRow } from './bench.js';
import { median, repository } from './repository.js';
import { repositoryRoot } from './simulator-process.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'vapp-vault-bench-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** As `npm run bench -- repository …` runs it; `npm test` builds before it tests. */
function bench(...args: string[]) {
  const script = join(repositoryRoot(), 'dist/test/bench/main.js');
  return spawnSync(process.execPath, [script, 'repository', ...args], { encoding: 'utf8', timeout: 280_000 });
}

describe('bench repository', () => {
  it('backs up, restores and verifies a small image as separate processes, and invents no figure it has not', { timeout: 300_000 }, () => {
    const json = join(folder, 'rows.json');
    const { stdout, stderr } = bench('--small', '--mib', '16', '--peers', 'none', '--json', json);
    expect(stdout, stderr).toContain('not measured');
    const rows = JSON.parse(readFileSync(json, 'utf8')) as BenchRow[];
    for (const row of rows) expect(Object.keys(row)).toEqual(['name', 'value', 'unit', 'target', 'holds']);
    const ratios = rows.filter(({ unit }) => unit === 'x restic');
    expect(ratios.map(({ target }) => target)).toEqual([0.36, 0.4, 0.08, 0.45, 0.35, 0.5, 0.45, 1.16]);
    for (const { value, holds } of ratios) expect([value, holds]).toEqual([null, false]);
    const memory = rows.find(({ name }) => name.startsWith('peak memory'));
    expect(memory).toMatchObject({ unit: 'MiB', target: 300, holds: true });
    expect(memory?.value).toBeGreaterThan(30);
    expect(rows.find(({ name }) => name.includes('index in memory'))).toMatchObject({ holds: true });
    const onDisk = rows.find(({ name }) => name.includes('index on disk'));
    // An entry in a trailer and one in a segment, of random ids, are no less.
    expect((onDisk?.value ?? 0) / 4).toBeGreaterThan(2 * 32);
  });

  it('refuses options that make no sense, before it makes anything', async () => {
    const asked = repository({ small: true, own: { rounds: '0' }, say: (line) => expect.fail(line) });
    await expect(asked).rejects.toThrow('--rounds takes a whole number from 1, not "0"');
    expect(bench('--fast').status).toBe(2);
  });

  it('takes the middle of its rounds', () => {
    expect([median([5, 1, 9]), median([4, 1, 2, 9])]).toEqual([5, 3]);
    expect(() => median([])).toThrow(RangeError);
  });
});
