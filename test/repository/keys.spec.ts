import { createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import { changeMasterKey, recoverMasterKey, Repository, StoreWrapper, writeRecoveryKey } from '../../src/repository/index.js';
import { deriveKey, masterKeyCheck, OrganizationKeys } from '../../src/repository/keys.js';
import {
  backUp,
  CHUNK_BYTES,
  FaultyStore,
  makeWorkspace,
  names,
  ORGANIZATION,
  OTHER_ORGANIZATION,
  pattern,
  readChunk,
  type StoredDisk,
  type Workspace,
  writeChunks,
} from './fixture.js';

const chunks = new Map([[0, pattern('keys', 0)]]);
const newKey = randomBytes(32);

let workspace: Workspace;
let stored: StoredDisk;
let other: StoredDisk;
beforeEach(async () => {
  workspace = await makeWorkspace();
  stored = await backUp(workspace.repository, 'rp-1', chunks);
  other = await backUp(workspace.repository, 'rp-2', chunks, { organizationId: OTHER_ORGANIZATION });
});
afterEach(() => workspace.remove());

const open = (masterKey: Buffer) => Repository.open({ store: workspace.store, masterKey, log: silentLogger });

async function expectReadable(masterKey: Buffer): Promise<void> {
  const repository = await open(masterKey);
  for (const { ref, disk } of [stored, other]) {
    expect((await readChunk(await repository.openDisk(ref, disk), 0)).equals(chunks.get(0) as Buffer)).toBe(true);
  }
}

describe('changing the master key', () => {
  it('wraps the keys anew, touches no data, and voids the former key', async () => {
    const data = async () =>
      Promise.all((await names(workspace.store, 'orgs/')).map((name) => readFile(join(workspace.folder, name), 'base64')));
    const before = await data();
    expect(await changeMasterKey(workspace.store, { formerKey: workspace.masterKey, newKey })).toEqual({ organizations: 2 });
    expect(await data()).toEqual(before);
    await expectReadable(newKey);
    await expect(open(workspace.masterKey)).rejects.toMatchObject({ code: 'WRONG_MASTER_KEY' });
    const keyFiles = await Promise.all(
      (await names(workspace.store, 'keys/')).map((name) => readFile(join(workspace.folder, name), 'utf8')),
    );
    for (const text of keyFiles) expect(text).not.toContain('nextWrappedKey');
    // Once more is no harm.
    await changeMasterKey(workspace.store, { formerKey: workspace.masterKey, newKey });
    await expectReadable(newKey);
  });

  it('interrupted at any write leaves exactly one key that opens everything, and can be repeated', async () => {
    for (let after = 0; after < 5; after += 1) {
      const dying = new FaultyStore(workspace.store);
      dying.onPut = () => (dying.puts.length >= after ? new Error('killed') : undefined);
      await expect(changeMasterKey(dying, { formerKey: workspace.masterKey, newKey })).rejects.toThrow('killed');
      const valid = await open(newKey).then(
        () => newKey,
        () => workspace.masterKey,
      );
      expect(valid).toBe(after < 3 ? workspace.masterKey : newKey);
      await expectReadable(valid);
      await changeMasterKey(workspace.store, { formerKey: workspace.masterKey, newKey });
      await expectReadable(newKey);
      await changeMasterKey(workspace.store, { formerKey: newKey, newKey: workspace.masterKey });
    }
  });

  it('while a backup runs lets it end, and tells a process with the former key to start anew', async () => {
    const running = await workspace.reopen();
    const session = await running.beginSession(ORGANIZATION, 'rp-3');
    const writer = await session.openDisk({ diskId: 'disk-2000', capacityBytes: 64 * CHUNK_BYTES, chunkBytes: CHUNK_BYTES });
    await changeMasterKey(workspace.store, { formerKey: workspace.masterKey, newKey });
    const more = new Map([[5, pattern('meanwhile', 5)]]);
    await writeChunks(writer, more);
    const disk = { diskId: 'disk-2000', ...(await writer.finish()) };
    const ref = await session.publish({ createdAt: new Date().toISOString(), disks: [disk], documents: [], content: null });
    expect((await readChunk(await (await open(newKey)).openDisk(ref, disk), 5)).equals(more.get(5) as Buffer)).toBe(true);
    const wrongKey = { code: 'WRONG_MASTER_KEY', message: /the one it was changed to/ };
    await expect(running.beginSession(ORGANIZATION, 'rp-4')).rejects.toMatchObject(wrongKey);
    await expect(running.verify({ mode: 'structure' })).rejects.toMatchObject(wrongKey);
    await expect(running.collectGarbage()).rejects.toMatchObject(wrongKey);
    await expectReadable(newKey);
  });

  it("refuses a key that is not the repository's, and changes nothing", async () => {
    await expect(changeMasterKey(workspace.store, { formerKey: randomBytes(32), newKey })).rejects.toMatchObject({
      code: 'WRONG_MASTER_KEY',
    });
    await expect(changeMasterKey(workspace.store, { formerKey: workspace.masterKey, newKey: Buffer.alloc(5) })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expectReadable(workspace.masterKey);
  });
});

describe('the recovery key', () => {
  it('opens the master key, until that is changed', async () => {
    const text = await writeRecoveryKey(workspace.store, workspace.masterKey);
    expect(await recoverMasterKey(workspace.store, ` ${text.toUpperCase().replaceAll('-', ' ')}\n`)).toEqual(workspace.masterKey);
    await changeMasterKey(workspace.store, { formerKey: workspace.masterKey, newKey });
    await expect(recoverMasterKey(workspace.store, text)).rejects.toMatchObject({ code: 'RECOVERY_KEY_WRONG' });
  });

  it('tells a typing error from a wrong key and from damage', async () => {
    const first = await writeRecoveryKey(workspace.store, workspace.masterKey);
    const second = await writeRecoveryKey(workspace.store, workspace.masterKey);
    await expect(recoverMasterKey(workspace.store, first)).rejects.toMatchObject({ code: 'RECOVERY_KEY_WRONG' });
    const typo = second.replace(/.(?=-[0-9a-f]{8}$)/, (digit) => (digit === '0' ? '1' : '0'));
    for (const bad of [typo, '', 'hello', second.slice(0, -1)])
      await expect(recoverMasterKey(workspace.store, bad)).rejects.toMatchObject({ code: 'RECOVERY_KEY_INVALID' });
    await writeFile(join(workspace.folder, 'recovery.json'), '{"wrappedMasterKey":{}}');
    await expect(recoverMasterKey(workspace.store, second)).rejects.toMatchObject({
      code: 'RECOVERY_KEY_WRONG',
      message: /the file is damaged, and a copy may be put back$/,
    });
    await rm(join(workspace.folder, 'recovery.json'));
    await expect(recoverMasterKey(workspace.store, second)).rejects.toMatchObject({
      code: 'RECOVERY_KEY_WRONG',
      message: /has no recovery\.json: it is lost/,
    });
  });
});

describe('an organization that was shredded elsewhere and made anew', () => {
  it('is written and read with the key that is there now', async () => {
    const stale = await workspace.reopen();
    const first = new Map([[0, pattern('first', 0)]]);
    await backUp(stale, 'rp-11', first);
    await (await workspace.reopen()).shredOrganization(ORGANIZATION);
    const anew = await backUp(stale, 'rp-12', first);
    expect(anew.tally.newChunks).toBe(1);
    const fresh = await workspace.reopen();
    await fresh.readManifest(anew.ref);
    expect(await readChunk(await fresh.openDisk(anew.ref, anew.disk), 0)).toEqual(first.get(0));

    await (await workspace.reopen()).shredOrganization(ORGANIZATION);
    await expect(stale.readManifest(anew.ref)).rejects.toMatchObject({ code: 'RESTORE_POINT_NOT_FOUND' });
    const third = await backUp(await workspace.reopen(), 'rp-13', first);
    expect((await stale.readManifest(third.ref)).restorePointId).toBe('rp-13');
  });

  it('in the moment its key is made is no damage: what began then is begun again', async () => {
    class ShreddedMeanwhile extends StoreWrapper {
      override async put(...call: Parameters<StoreWrapper['put']>): Promise<void> {
        await super.put(...call);
        if (call[0].startsWith('keys/')) await this.inner.delete(call[0]);
      }
    }
    const repository = await workspace.reopen(new ShreddedMeanwhile(workspace.store));
    await expect(repository.beginSession('urn:vcloud:org:new', 'rp-11')).rejects.toMatchObject({
      ...{ code: 'ORGANIZATION_KEY_MISSING', retryable: true },
      message: expect.stringMatching(/^Organization urn:vcloud:org:new was shredded while its key, keys\/.*, was made; what began/),
    });
    await (await workspace.reopen()).beginSession('urn:vcloud:org:new', 'rp-11');
  });

  it('is not made anew while the old one is still being removed, or its key is lost', async () => {
    const { ref } = await backUp(workspace.repository, 'rp-11', new Map([[0, pattern('first', 0)]]));
    for (const name of await names(workspace.store, 'keys/')) await workspace.store.delete(name);
    const repository = await workspace.reopen();
    await expect(repository.beginSession(ORGANIZATION, 'rp-12')).rejects.toMatchObject({ code: 'ORGANIZATION_KEY_MISSING' });
    await expect(repository.beginSession(ORGANIZATION, 'rp-12')).rejects.toThrow(/put back a copy of the key, or shred the organization$/);
    await repository.shredOrganization(ORGANIZATION);
    await backUp(repository, 'rp-12', new Map([[0, pattern('second', 0)]]));
    expect((await repository.readManifest({ ...ref, restorePointId: 'rp-12' })).restorePointId).toBe('rp-12');
  });
});

describe('shredding an organization', () => {
  it('leaves nothing of it to read, and the other one whole', async () => {
    const pack = (await names(workspace.store, 'orgs/')).find((name) => name.includes('/packs/')) as string;
    const copy = await readFile(join(workspace.folder, pack));
    await workspace.repository.shredOrganization(ORGANIZATION);
    await workspace.repository.shredOrganization(ORGANIZATION);
    await expect(workspace.repository.readManifest(stored.ref)).rejects.toMatchObject({ code: 'ORGANIZATION_KEY_MISSING' });
    expect(copy.includes((chunks.get(0) as Buffer).subarray(0, 64))).toBe(false);
    const repository = await open(workspace.masterKey);
    expect((await readChunk(await repository.openDisk(other.ref, other.disk), 0)).equals(chunks.get(0) as Buffer)).toBe(true);
    const rest = await names(workspace.store, 'orgs/');
    expect(new Set(rest.map((name) => name.split('/')[1])).size).toBe(1);
    // A new beginning has a new key: equal chunks have other ids.
    const again = await backUp(repository, 'rp-1', chunks);
    expect(again.disk.indexId).not.toBe(stored.disk.indexId);
  });
});

describe('known answers', () => {
  it("HKDF-SHA-256, as RFC 5869 test case 3 and this format's own purposes have it", () => {
    // RFC 5869, appendix A.3: no salt, no info.
    const rfc = Buffer.from(hkdfSync('sha256', Buffer.alloc(22, 0x0b), Buffer.alloc(0), '', 32)).toString('hex');
    expect(rfc).toBe('8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d');
    // Extract, then one block of expand, by HMAC alone.
    const key = Buffer.from(Array.from({ length: 32 }, (_, i) => i));
    const pseudoRandomKey = createHmac('sha256', Buffer.alloc(32)).update(key).digest();
    const expected = createHmac('sha256', pseudoRandomKey).update('vapp-vault/1 digest data').update(Buffer.of(1)).digest();
    expect(deriveKey(key, Buffer.alloc(0), 'digest data')).toEqual(expected);
  });

  it('of keys and ids never change', () => {
    const key = Buffer.from(Array.from({ length: 32 }, (_, i) => i));
    const keys = new OrganizationKeys(key);
    const answers = {
      check: masterKeyCheck(key, '01234567-89ab-7cde-8f01-23456789abcd').toString('hex'),
      data: keys.digest('data', Buffer.from('chunk')).toString('hex'),
      page: keys.digest('page', Buffer.from('chunk')).toString('hex'),
      sealing: keys.sealingKey(Buffer.alloc(32, 7)).toString('hex'),
      trailer: keys.trailerMac(Buffer.from('a'), Buffer.from('b')).toString('hex'),
    };
    expect(answers).toMatchInlineSnapshot(`
      {
        "check": "2fa0e01fda117592e50f07114552fb1892ccc0d172689107615c88d370f95671",
        "data": "1439d3aa8f0dfd3f7c9c2e68b115539f950e92298fa5eca609bec3b4556dcb3a",
        "page": "a4636a2ecb660f4239f1b433c58eaba2bda0dc86276ebe3d2d8531e8ff48f426",
        "sealing": "3a5d337bd447f1459da131bab01fd5a353dfb3f682e966b96350784e2a36614f",
        "trailer": "4bc7c0ec209a9825c1c2192a46d4e00fcba464cef0d2105188e161afe04ee609",
      }
    `);
  });
});
