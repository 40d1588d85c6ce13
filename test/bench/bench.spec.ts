import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { atMost, type BenchRow, exactly, table } from './bench.js';
import { repositoryRoot } from './simulator-process.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'vapp-vault-bench-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** As `npm run bench -- …` runs it; `npm test` builds before it tests. */
function bench(...args: string[]) {
  const script = join(repositoryRoot(), 'dist/test/bench/main.js');
  return spawnSync(process.execPath, [script, ...args], { encoding: 'utf8', timeout: 110_000 });
}

describe('bench', () => {
  it('inventory holds its targets on a small cloud, and says so in JSON', { timeout: 120_000 }, () => {
    const json = join(folder, 'rows.json');
    const { status, stdout, stderr } = bench('inventory', '--small', '--json', json);
    expect(`${stdout}${status === 0 ? '' : stderr}`).not.toContain('NO');
    expect(status).toBe(0);
    const rows = JSON.parse(readFileSync(json, 'utf8')) as BenchRow[];
    expect(rows.map(({ name }) => name)).toEqual(expect.arrayContaining(['inventory: requests', 'inventory: time', 'refresh: requests']));
    for (const row of rows) expect(Object.keys(row)).toEqual(['name', 'value', 'unit', 'target', 'holds']);
  });

  it('gc reads each page once, in the time and memory it may take, on a small disk', { timeout: 120_000 }, () => {
    const { status, stdout, stderr } = bench('gc', '--small');
    expect(`${stdout}${status === 0 ? '' : stderr}`).not.toContain('NO');
    expect(status).toBe(0);
    expect(stdout).toMatch(/changes all over the disk: pages read +480 +pages +480 +yes/);
  });

  it('queue holds its targets on a small queue, with workers that are processes', { timeout: 120_000 }, () => {
    const { status, stdout, stderr } = bench('queue', '--small');
    expect(`${stdout}${status === 0 ? '' : stderr}`).not.toContain('NO');
    expect(status).toBe(0);
  });

  it.each([[['nothing']], [['inventory', '--fast']]])('refuses %j', (args) => {
    const { status, stderr } = bench(...args);
    expect(status).toBe(2);
    expect(stderr).toContain('usage: npm run bench --');
  });

  it('a row holds up to its target, or at it exactly', () => {
    expect([atMost('a', 5, 's', 5).holds, atMost('a', 5.001, 's', 5).holds]).toEqual([true, false]);
    expect([exactly('a', 5, 's', 5).holds, exactly('a', 4, 's', 5).holds]).toEqual([true, false]);
    expect(table([exactly('vApps', 4, 'objects', 10)]).split('\n')[1]).toBe('vApps      4  objects      10  NO');
  });
});
