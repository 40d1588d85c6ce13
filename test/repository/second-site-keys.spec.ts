import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Logger, silentLogger } from '../../src/common/index.js';
import { changeMasterKey, Repository, SecondSite } from '../../src/repository/index.js';
import {
  backUp,
  chunksOf,
  FaultyStore,
  harmKeyFile,
  makeWorkspace,
  names,
  ORGANIZATION,
  OTHER_ORGANIZATION,
  type StoredDisk,
} from './fixture.js';
import { expectWhole, first, folder, openSecond, secondStore, siteOf, useTwoSites, workspace } from './second-site-fixture.js';

useTwoSites();

describe('keys at the second site', () => {
  it('follow a change of the master key, killed anywhere, with one key that opens everything', async () => {
    const chunks = chunksOf('m', 0, 2);
    const stored = await backUp(first, 'rp-1', chunks);
    const other = await backUp(first, 'rp-9', chunks, { organizationId: OTHER_ORGANIZATION });
    await siteOf(first).copy();
    const newKey = randomBytes(32);
    await changeMasterKey(workspace.store, { formerKey: workspace.masterKey, newKey });
    const changed = await Repository.open({ store: workspace.store, masterKey: newKey, log: silentLogger });
    for (let after = 0; after <= 5; after += 1) {
      const dying = new FaultyStore(secondStore);
      dying.onPut = () => (dying.puts.length >= after ? new Error('killed') : undefined);
      await siteOf(changed, dying, 0, newKey)
        .copy()
        .catch(() => undefined);
      const valid = await openSecond(newKey).then(
        () => newKey,
        () => workspace.masterKey,
      );
      const second = await openSecond(valid);
      await expectWhole(second, stored, chunks);
      await expectWhole(second, other, chunks);
    }
    await siteOf(changed, secondStore, 0, newKey).copy();
    await expectWhole(await openSecond(newKey), stored, chunks);
    await expect(openSecond()).rejects.toMatchObject({ code: 'WRONG_MASTER_KEY' });
  });

  it('follow a change of the master key that is not at its end at the first, killed anywhere', async () => {
    const chunks = chunksOf('m', 0, 2);
    const stored = await backUp(first, 'rp-1', chunks);
    await siteOf(first).copy();
    const newKey = randomBytes(32);
    const dying = new FaultyStore(workspace.store);
    // One file, then the description, and no more.
    dying.onPut = () => (dying.puts.length >= 2 ? new Error('killed') : undefined);
    await expect(changeMasterKey(dying, { formerKey: workspace.masterKey, newKey })).rejects.toThrow('killed');
    const changed = await Repository.open({ store: workspace.store, masterKey: newKey, log: silentLogger });
    for (let after = 0; after <= 3; after += 1) {
      const store = new FaultyStore(secondStore);
      store.onPut = () => (store.puts.length >= after ? new Error('killed') : undefined);
      await siteOf(changed, store, 0, newKey)
        .repository()
        .catch(() => undefined);
      const valid = await openSecond(newKey).then(
        () => newKey,
        () => workspace.masterKey,
      );
      await expectWhole(await openSecond(valid), stored, chunks);
    }
    await expectWhole(await openSecond(newKey), stored, chunks);
  });

  describe('stay as they are where that of the first', () => {
    const chunks = chunksOf('h', 0, 2);
    let stored: StoredDisk;
    let other: StoredDisk;
    let keyName: string;
    let before: Buffer;
    beforeEach(async () => {
      stored = await backUp(first, 'rp-1', chunks);
      [keyName] = (await names(workspace.store, 'keys/')) as [string];
      other = await backUp(first, 'rp-8', chunks, { organizationId: OTHER_ORGANIZATION });
      await siteOf(first).copy();
      before = await secondStore.get(keyName);
      // What is still to come: one bad key file does not keep it away.
      other = await backUp(first, 'rp-9', chunksOf('i', 4, 2), { organizationId: OTHER_ORGANIZATION });
    });

    async function expectKept(site: SecondSite, copied = ['rp-9']): Promise<void> {
      const report = await site.copy();
      expect(report.copied).toEqual(copied);
      expect(report.failed).toMatchObject([{ reason: expect.stringContaining(keyName) }]);
      expect((await secondStore.get(keyName)).equals(before)).toBe(true);
      await expectWhole(await openSecond(), stored, chunks);
      await expectWhole(await openSecond(), other, chunksOf('i', 4, 2));
    }

    it.each(['wrappedKey', 'organizationId'] as const)('has a damaged %s', async (field) => {
      await harmKeyFile(workspace.folder, field);
      const said: unknown[] = [];
      const log = { ...silentLogger, warn: (fields: unknown) => said.push(fields) } as unknown as Logger;
      const { masterKey } = workspace;
      const site = new SecondSite(await workspace.reopen(), { masterKey, log }, { openStore: async () => secondStore, log });
      await expectKept(site);
      expect(said).toMatchObject([{ name: keyName }]);
    });

    it('is an outdated one, wrapped by a former master key', async () => {
      const outdated = await workspace.store.get(keyName);
      const newKey = randomBytes(32);
      await changeMasterKey(workspace.store, { formerKey: workspace.masterKey, newKey });
      const changed = await Repository.open({ store: workspace.store, masterKey: newKey, log: silentLogger });
      await siteOf(changed, secondStore, 0, newKey).copy();
      await workspace.store.put(keyName, outdated);
      const kept = await secondStore.get(keyName);
      const report = await siteOf(changed, secondStore, 0, newKey).copy();
      expect(report.failed).toMatchObject([{ reason: expect.stringContaining(keyName) }]);
      expect((await secondStore.get(keyName)).equals(kept)).toBe(true);
      await expectWhole(await openSecond(newKey), stored, chunks);
    });

    it('is damaged when the master key was changed: the former one opens it on', async () => {
      const newKey = randomBytes(32);
      await changeMasterKey(workspace.store, { formerKey: workspace.masterKey, newKey });
      await harmKeyFile(workspace.folder, 'wrappedKey');
      const changed = await Repository.open({ store: workspace.store, masterKey: newKey, log: silentLogger });
      const report = await siteOf(changed, secondStore, 0, newKey).copy();
      expect(report).toMatchObject({ copied: ['rp-9'], failed: [{ reason: expect.stringContaining(keyName) }] });
      expect((await secondStore.get(keyName)).equals(before)).toBe(true);
      await expectWhole(await openSecond(newKey), other, chunksOf('i', 4, 2));
    });

    it('is of another beginning', async () => {
      const elsewhere = await makeWorkspace();
      await elsewhere.store.put('repository.json', await workspace.store.get('repository.json'));
      const again = await Repository.open({ store: elsewhere.store, masterKey: workspace.masterKey, log: silentLogger });
      await backUp(again, 'rp-1', chunks);
      await workspace.store.put(keyName, await elsewhere.store.get(keyName));
      await elsewhere.remove();
      await expectKept(siteOf(await workspace.reopen()));
    });
  });

  it.each(['first', 'second'])('become equal again when a date in clear is damaged at the %s', async (site) => {
    const stored = await backUp(first, 'rp-1', chunksOf('t', 0, 2));
    await siteOf(first).copy();
    await harmKeyFile(site === 'first' ? workspace.folder : folder, 'createdAt');
    const more = await backUp(first, 'rp-2', chunksOf('u', 4, 2));
    expect(await siteOf(await workspace.reopen()).copy()).toMatchObject({ copied: ['rp-2'], failed: [] });
    const [keyName] = (await names(workspace.store, 'keys/')) as [string];
    expect((await secondStore.get(keyName)).equals(await workspace.store.get(keyName))).toBe(true);
    await expectWhole(await openSecond(), stored, chunksOf('t', 0, 2));
    await expectWhole(await openSecond(), more, chunksOf('u', 4, 2));
  });

  it.each(['copied', 'put back by healing'])(
    'of before a shredding are not %s over those of an organization that began anew',
    async (by) => {
      await backUp(first, 'rp-1', chunksOf('s', 0, 2));
      await siteOf(first).copy();
      await first.shredOrganization(ORGANIZATION);
      const anew = await backUp(first, 'rp-2', chunksOf('n', 0, 2));
      const [keyName] = (await names(workspace.store, 'keys/')) as [string];
      const key = await workspace.store.get(keyName);
      // Another process: it opens the second site only now.
      const site = siteOf(await workspace.reopen());
      const second = await site.repository();
      if (by === 'put back by healing') {
        await harmKeyFile(workspace.folder, 'wrappedKey');
        const { findings } = await (await workspace.reopen()).verify({ mode: 'full' }, second);
        expect(findings).toMatchObject([{ name: keyName }]);
        await workspace.store.put(keyName, key);
      }
      expect(await site.copy()).toMatchObject({ shreddedOrganizations: 1, copied: ['rp-2'], failed: [] });
      expect((await secondStore.get(keyName)).equals(key)).toBe(true);
      await expectWhole(await openSecond(), anew, chunksOf('n', 0, 2));
    },
  );

  it('are destroyed with those of the first when an organization is shredded, also when the second could not be reached then', async () => {
    const stored = await backUp(first, 'rp-1', chunksOf('s', 0, 2));
    const other = await backUp(first, 'rp-9', chunksOf('o', 0, 2), { organizationId: OTHER_ORGANIZATION });
    const site = siteOf(first);
    await site.copy();
    // Only the first was there.
    await first.shredOrganization(ORGANIZATION);
    // The organization begins anew under another key.
    const anew = await backUp(first, 'rp-2', chunksOf('n', 0, 2));
    expect(await site.copy()).toMatchObject({ shreddedOrganizations: 1, copied: expect.arrayContaining(['rp-2']) });
    const second = await openSecond();
    await expect(second.readManifest(stored.ref)).rejects.toMatchObject({ code: 'RESTORE_POINT_NOT_FOUND' });
    await expectWhole(second, anew, chunksOf('n', 0, 2));
    await expectWhole(second, other, chunksOf('o', 0, 2));
    expect(await names(workspace.store, 'shredded/')).toEqual([]);
  });
});
