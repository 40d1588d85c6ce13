import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Repository } from '../../src/repository/index.js';
import { backUp, chunksOf, makeWorkspace, names, type Workspace } from './fixture.js';
import { whereverItReads } from './interrupted-reads.js';

/** Everything at once: no grace, so that a test needs no clock. */
const NOW = { graceMs: 0 };

let workspace: Workspace;
let repository: Repository;
beforeEach(async () => {
  workspace = await makeWorkspace({ packTargetBytes: 512 * 1024 });
  repository = workspace.repository;
});
afterEach(() => workspace.remove());

async function packs(): Promise<string[]> {
  return (await names(workspace.store, 'orgs/')).filter((name) => name.includes('/packs/'));
}

describe('two collectors', () => {
  it('do not work at once, and a lock left by a killed one is taken over', async () => {
    const goes = await backUp(repository, 'rp-1', chunksOf('gone', 0, 4));
    await repository.deleteManifest(goes.ref);
    const lock = `${(await packs())[0]?.split('/packs/')[0]}/gc/lock`;
    await workspace.store.put(lock, Buffer.from('somebody'));
    await expect(repository.collectGarbage(NOW)).rejects.toMatchObject({ code: 'GC_RUNNING', retryable: true });
    await utimes(join(workspace.folder, lock), new Date(0), new Date(0));
    expect((await repository.collectGarbage(NOW)).condemnedPacks).toBeGreaterThan(0);
    expect(await workspace.store.size(lock)).toBeUndefined();
  });

  it('whose holder is known to be gone, or was an earlier attempt of the same, is taken over at once', async () => {
    await backUp(repository, 'rp-1', chunksOf('stays', 0, 4));
    const folder = `${(await packs())[0]?.split('/packs/')[0]}/gc`;
    const gone = new Set<string>();
    const holder = { name: 'run-2', isGone: async (name: string) => await Promise.resolve(gone.has(name)) };
    for (const text of ['somebody', 'somebody run-1']) {
      await workspace.store.put(`${folder}/lock`, Buffer.from(text));
      await expect(repository.collectGarbage({ ...NOW, holder })).rejects.toMatchObject({ code: 'GC_RUNNING' });
      expect((await workspace.store.get(`${folder}/lock`)).toString()).toBe(text);
    }
    gone.add('run-1');
    expect(await repository.collectGarbage({ ...NOW, holder })).toMatchObject({ restorePoints: 1 });
    await workspace.store.put(`${folder}/lock`, Buffer.from('somebody run-2'));
    expect(await repository.collectGarbage({ ...NOW, holder })).toMatchObject({ restorePoints: 1 });
    expect(await workspace.store.size(`${folder}/lock`)).toBeUndefined();
  });

  it('leave nothing of those that died while they asked for the time', async () => {
    await backUp(repository, 'rp-1', chunksOf('stays', 0, 4));
    const folder = `${(await packs())[0]?.split('/packs/')[0]}/gc`;
    for (const name of ['old', 'new']) await workspace.store.put(`${folder}/time-${name}`, Buffer.from('{}'));
    await utimes(join(workspace.folder, `${folder}/time-old`), new Date(0), new Date(0));
    await repository.collectGarbage(NOW);
    const left: string[] = [];
    for await (const { name } of workspace.store.list(`${folder}/`)) left.push(name);
    expect(left).toEqual([`${folder}/time-new`]);
  });

  it('of which one lost its lock: it does not call damaged what the other may have deleted, wherever it reads', async () => {
    const ends = await whereverItReads({
      work: (interrupted) => interrupted.collectGarbage(NOW),
      happens: async (_, store) => {
        const objects = await names(store, 'orgs/');
        await store.put(`${objects[0]?.split('/', 2).join('/')}/gc/lock`, Buffer.from('somebody else'));
        for (const name of objects) if (name.includes('/packs/')) await store.delete(name);
      },
    });
    expect(ends.length).toBeGreaterThan(20);
    for (const end of ends) expect(end).toMatchObject({ code: 'GC_LOCK_LOST', retryable: true });
  });
});
