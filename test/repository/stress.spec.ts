import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FolderStore } from '../../src/repository/index.js';
import { names } from './fixture.js';
import { openStressRepository, SHREDDED_ORGANIZATION, stressPoints, verifyStressPoint } from './stress-writer.js';

/** Longer by hand: VAPP_VAULT_STRESS_SECONDS=600 npx vitest run test/repository/stress.spec.ts */
const STRESS_MS = Number(process.env.VAPP_VAULT_STRESS_SECONDS ?? 12) * 1000;
const WRITERS = 3;
const NOW = { graceMs: 0 };
const SCRIPT = join(import.meta.dirname, '../../dist/test/repository/stress-writer.js');

let folder: string;
const masterKey = randomBytes(32);
const running = new Set<ChildProcess>();
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vapp-vault-stress-'));
  await openStressRepository(folder, masterKey);
});
afterAll(async () => {
  for (const child of running) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

class Writer {
  readonly child: ChildProcess;
  acts = 0;
  findings = '';

  constructor(name: string) {
    this.child = spawn(process.execPath, [SCRIPT, folder, name], {
      env: { ...process.env, VAPP_VAULT_STRESS_KEY: masterKey.toString('hex') },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(this.child);
    this.child.stdout?.on('data', (dots: Buffer) => {
      this.acts += dots.length;
    });
    this.child.stderr?.on('data', (text: Buffer) => {
      this.findings += text.toString('utf8');
    });
  }

  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  async kill(): Promise<void> {
    if (!this.ended) {
      this.child.kill('SIGKILL');
      await once(this.child, 'exit');
    }
    running.delete(this.child);
  }
}

async function expectAllWhole(): Promise<number> {
  const repository = await openStressRepository(folder, masterKey);
  const refs = await stressPoints(repository);
  for (const ref of refs) await verifyStressPoint(repository, ref);
  return refs.length;
}

it('loses nothing while processes back up, delete, collect and are killed at random', { timeout: STRESS_MS + 120_000 }, async () => {
  const writers = Array.from({ length: WRITERS }, (_, i) => new Writer(`w${i}`));
  const all = [...writers];
  // On a busy machine a process may take seconds to begin; the time counts from then.
  await expect.poll(() => all.every((writer) => writer.acts > 0 || writer.ended), { timeout: 60_000 }).toBe(true);
  const deadline = Date.now() + STRESS_MS;
  while (Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 300 + Math.random() * 1500));
    const victim = Math.floor(Math.random() * WRITERS);
    const writer = writers[victim] as Writer;
    if (writer.acts === 0 && !writer.ended) continue;
    await writer.kill();
    writers[victim] = new Writer(`w${all.length}`);
    all.push(writers[victim]);
  }
  for (const writer of writers) await writer.kill();
  expect(all.map((writer) => writer.findings).join('')).toBe('');
  expect(all.reduce((sum, writer) => sum + writer.acts, 0)).toBeGreaterThan(5);
  expect(await expectAllWhole()).toBeGreaterThan(0);

  // The killed ones' records and lock expire; here they are made old instead of waiting for it.
  const store = await FolderStore.open(folder);
  for (const name of await names(store, 'orgs/')) {
    if (/\/(sessions|gc)\//.test(name)) await utimes(join(folder, name), new Date(0), new Date(0));
  }
  const repository = await openStressRepository(folder, masterKey);
  await repository.collectGarbage(NOW);
  await repository.collectGarbage(NOW);
  await expectAllWhole();
  // One that was interrupted is finished by another.
  await repository.shredOrganization(SHREDDED_ORGANIZATION);
  for (const ref of await stressPoints(repository)) await repository.deleteManifest(ref);
  for (let run = 0; run < 3; run += 1) await repository.collectGarbage(NOW);
  expect((await names(store, 'orgs/')).filter((name) => /\/(packs|condemned|sessions)\//.test(name))).toEqual([]);
});
