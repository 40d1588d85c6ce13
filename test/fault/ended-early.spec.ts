import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Report } from './table.js';

const MAIN = fileURLToPath(new URL('../../dist/test/fault/main.js', import.meta.url));

describe('a sweep that is ended early', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'vapp-vault-sweep-'));
    // The database's user has to enter it.
    chmodSync(folder, 0o755);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('tells what it tried, and leaves no process and no folder', { timeout: 240_000 }, async () => {
    const json = join(folder, 'report.json');
    const options = ['--operation', 'gc', '--operation', 'rebuild-catalog', '--worlds', '1', '--json', json];
    const child = spawn(process.execPath, [MAIN, ...options], {
      env: { ...process.env, TMPDIR: folder },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const ended = once(child, 'exit');
    const said = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) child[name].on('data', (data: Buffer) => (said[name] += data.toString()));
    try {
      await vi.waitUntil(() => child.exitCode !== null || /, held \(|BROKEN/.test(said.stderr), 180_000);
    } finally {
      // As Ctrl-C does: its services get it, too.
      process.kill(-(child.pid as number), 'SIGINT');
    }
    expect((await ended)[0], said.stderr).toBe(1);
    const points = Number(/^(\d+) points, 0 failures; 0 more never came$/m.exec(said.stdout)?.[1]);
    expect(points).toBeGreaterThan(0);
    expect(said.stdout).toMatch(/^\d+ more were not tried\nnothing was tried of rebuild-catalog$/m);
    const report = JSON.parse(readFileSync(json, 'utf8')) as Report;
    expect(report).toMatchObject({ points, failures: 0, missed: 0, notListed: ['rebuild-catalog'] });
    expect(report.untried).toBeGreaterThan(0);
    // Where the database's user cannot enter node_modules, its programs are copied once, and stay.
    const leftovers = readdirSync(folder).filter((name) => !name.startsWith('vapp-vault-postgres-'));
    expect(leftovers).toEqual(['report.json']);
    // What has lost its parent may need an instant to notice.
    await vi.waitFor(() => expect(processesOf(folder)).toEqual([]), 5_000);
  });
});

/** Those that work in the folder, or were told of it. */
function processesOf(place: string): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return [];
    try {
      const [environment, command] = ['environ', 'cmdline'].map((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8')) as [string, string];
      return environment.includes(place) || command.includes(place) ? [`${pid} ${command.replaceAll('\0', ' ')}`] : [];
    } catch {
      // It is gone, or another user's.
      return [];
    }
  });
}
