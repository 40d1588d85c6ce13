import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { FolderStore } from '../../src/repository/index.js';
import { STORE_CONFORMANCE, type StoreUnderTest } from './store-conformance.js';

describe('the folder', () => {
  let folder: string;
  let subject: StoreUnderTest;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vapp-vault-store-folder-'));
    subject = { store: await FolderStore.open(folder), reopen: () => FolderStore.open(folder), largeBytes: 4 << 20 };
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  for (const { name, run } of STORE_CONFORMANCE) it(name, () => run(subject));
});
