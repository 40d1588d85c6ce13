/** Whoever reads the log of a run asks for its id: what a backup does, and what is done after its worker's death, is all found by it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunView } from '../../src/jobs/index.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';
import type { KillableService } from './killable-service.js';
import { KillableWorld } from './killable-world.js';

interface Line {
  msg: string;
  runId?: string;
  kind?: string;
}

describe('the log of a run', { timeout: 180_000 }, () => {
  let database: TestDatabase;
  let world: KillableWorld;

  beforeAll(async () => {
    database = await startTestDatabase();
    world = await KillableWorld.start({ VAPP_VAULT_DATABASE_URL: database.url, VAPP_VAULT_LOG_LEVEL: 'debug' });
  });
  afterAll(async () => {
    world?.simulator.gate.release(false);
    await world?.close();
    await database?.stop();
  });

  it('has its id in every line, of a backup and of what follows its loss', async () => {
    const first = await world.startService();
    await world.register();
    const beforeCount = linesOf(first).length;
    const backup = await world.startBackup('sandbox');
    expect(await world.ended(backup)).toMatchObject({ state: 'succeeded' });
    await said(first, backup, 'run ended');
    const lines = linesOf(first).slice(beforeCount);
    expect(ofNoRun(lines)).toEqual([]);
    const told = lines.filter(({ runId }) => runId === backup.id);
    expect(told.map(({ msg }) => msg)).toEqual(expect.arrayContaining(['run started', 'Restore point published', 'run ended']));
    expect(told.filter(({ kind }) => kind !== 'backup')).toEqual([]);

    const snapshot = world.simulator.gate.hold({
      number: 1,
      moment: 'after',
      matching: ({ method }) => method === 'CreateSnapshot_Task',
    });
    const lost = await world.startBackup('sandbox');
    await snapshot;
    await first.kill();
    world.simulator.gate.release(false);
    const second = await world.startService();
    expect(await world.ended(lost)).toMatchObject({ attempt: 2, error: null });
    await world.expectNothingOwed(['shop', 'intranet', 'sandbox', 'erp']);
    await said(second, lost, 'run ended');
    expect(ofNoRun(linesOf(second))).toEqual([]);
    const messages = linesOf(second).filter(({ runId }) => runId === lost.id);
    expect(messages.map(({ msg }) => msg)).toEqual(
      expect.arrayContaining(['run put back into the queue: its worker was lost', 'run started', 'Restore point published', 'run ended']),
    );
  });
});

/** Standard output may come a moment after the API's answer. */
async function said(service: KillableService, { id }: RunView, msg: string): Promise<void> {
  const isThere = () => linesOf(service).some((line) => line.runId === id && line.msg === msg);
  await expect.poll(isThere, { timeout: 30_000 }).toBe(true);
}

function linesOf(service: KillableService): Line[] {
  const { output } = service;
  // What has no end yet is not all there.
  return output
    .slice(0, output.lastIndexOf('\n'))
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line);
}

/** Of a process that starts, or of all its runs together where the machine stalls. */
const OF_NO_RUN = ['database ready', 'the leases of running runs could not be renewed', 'the lease of the permits could not be renewed'];

/** What has no run's id and is no request's, nor one of those that may have none. */
function ofNoRun(lines: readonly Line[]): string[] {
  return lines
    .filter((line) => line.runId === undefined && !('req' in line) && !('context' in line))
    .map(({ msg }) => msg)
    .filter((msg) => !OF_NO_RUN.includes(msg));
}
