/** A repository at one site, and a place for its second one. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import { type BlobStore, FolderStore, Repository, SecondSite } from '../../src/repository/index.js';
import { makeWorkspace, readChunk, type StoredDisk, type Workspace } from './fixture.js';

export let workspace: Workspace;
export let folder: string;
export let secondStore: FolderStore;
export let first: Repository;

export function useTwoSites(): void {
  beforeEach(async () => {
    workspace = await makeWorkspace({ packTargetBytes: 512 * 1024 });
    first = workspace.repository;
    folder = await mkdtemp(join(tmpdir(), 'vapp-vault-second-'));
    secondStore = await FolderStore.open(folder);
  });
  afterEach(async () => {
    await workspace.remove();
    await rm(folder, { recursive: true, force: true });
  });
}

export function siteOf(
  repository: Repository,
  store: BlobStore = secondStore,
  keepDeletedMs = 0,
  masterKey = workspace.masterKey,
): SecondSite {
  return new SecondSite(repository, { masterKey, log: silentLogger }, { openStore: async () => store, keepDeletedMs, log: silentLogger });
}

export async function expectWhole(repository: Repository, stored: StoredDisk, chunks: ReadonlyMap<number, Buffer>): Promise<void> {
  await repository.readManifest(stored.ref);
  const reader = await repository.openDisk(stored.ref, stored.disk);
  for (const [chunkIndex, bytes] of chunks) expect((await readChunk(reader, chunkIndex)).equals(bytes), `chunk ${chunkIndex}`).toBe(true);
}

export async function openSecond(masterKey = workspace.masterKey): Promise<Repository> {
  return Repository.open({ store: await FolderStore.open(folder), masterKey, log: silentLogger });
}
