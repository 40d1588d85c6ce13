import { createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeRecoveryKey } from '../../src/repository/index.js';
import { recordChecksum } from '../../src/repository/format.js';
import {
  backUp,
  CHUNK_BYTES,
  makeWorkspace,
  names,
  ORGANIZATION,
  OTHER_ORGANIZATION,
  readChunk,
  type StoredDisk,
  type Workspace,
} from './fixture.js';

/** Random, so that they are stored as they are and all records are of one length. */
const chunks = new Map([0, 1].map((i) => [i, randomBytes(CHUNK_BYTES)]));
const RECORD_BYTES = 56 + CHUNK_BYTES + 16;
const FIRST = 64;

let workspace: Workspace;
let stored: StoredDisk;
let pack: string;
let bytes: Buffer;
beforeEach(async () => {
  workspace = await makeWorkspace();
  stored = await backUp(workspace.repository, 'rp-1', chunks);
  pack = (await names(workspace.store, 'orgs/')).find((name) => name.includes('/packs/')) as string;
  bytes = await readFile(join(workspace.folder, pack));
  for (const at of [FIRST, FIRST + RECORD_BYTES]) expect(bytes.toString('latin1', at, at + 4)).toBe('vvrc');
});
afterEach(() => workspace.remove());

/** The record's checksum is made right again: only the authentication is left to notice. */
async function forge(at: number, change: (record: Buffer, other: Buffer) => void): Promise<void> {
  const record = bytes.subarray(at, at + RECORD_BYTES);
  const otherAt = at === FIRST ? FIRST + RECORD_BYTES : FIRST;
  change(record, bytes.subarray(otherAt, otherAt + RECORD_BYTES));
  record.writeUInt32LE(recordChecksum(record, record.readUInt32LE(16)), 20);
  await writeFile(join(workspace.folder, pack), bytes);
}

async function read(index: number): Promise<Buffer> {
  return readChunk(await (await workspace.reopen()).openDisk(stored.ref, stored.disk), index);
}

/** Which of the two lies first is the packing's affair. */
async function whichIsFirst(): Promise<number> {
  const id = bytes.subarray(FIRST + 24, FIRST + 56).toString('hex');
  const reader = await workspace.reopen();
  await reader.readManifest(stored.ref);
  const before = Buffer.from(bytes);
  bytes[FIRST + 60] = (bytes[FIRST + 60] as number) ^ 1;
  await writeFile(join(workspace.folder, pack), bytes);
  const first = await read(0).then(
    () => 1,
    () => 0,
  );
  expect(id).toHaveLength(64);
  before.copy(bytes);
  await writeFile(join(workspace.folder, pack), bytes);
  for (const name of await names(workspace.store, 'orgs/')) if (name.includes('/bad/')) await workspace.store.delete(name);
  return first;
}

describe('a record is bound', () => {
  it.each<[string, (record: Buffer, other: Buffer) => void]>([
    [
      'its id: the sealed bytes of another chunk, with its nonce, under this id',
      (record, other) => {
        other.copy(record, 56, 56);
        other.copy(record, 8, 8, 12);
      },
    ],
    ['its nonce', (record) => record.writeUInt32LE(record.readUInt32LE(8) + 1, 8)],
    ['its codec', (record) => record.writeUInt8(1, 5)],
    ['its ciphertext', (record) => record.writeUInt8(record.readUInt8(3000) ^ 0x80, 3000)],
    ['its tag', (record) => record.writeUInt8(record.readUInt8(RECORD_BYTES - 1) ^ 1, RECORD_BYTES - 1)],
  ])('to %s', async (_what, change) => {
    const first = await whichIsFirst();
    await forge(FIRST, change);
    await expect(read(first)).rejects.toMatchObject({ code: 'CHUNK_DAMAGED' });
    expect((await read(1 - first)).equals(chunks.get(1 - first) as Buffer)).toBe(true);
  });

  it('to its kind: a document with the bytes of a chunk has another id, and cannot pass for it', async () => {
    const document = chunks.get(0) as Buffer;
    const session = await workspace.repository.beginSession(ORGANIZATION, 'rp-2');
    const documentId = await session.putDocument(document);
    const ref = await session.publish({ createdAt: new Date().toISOString(), disks: [], documents: [documentId], content: null });
    expect(await workspace.repository.readDocument(ref, documentId)).toEqual(document);
    const packs = (await names(workspace.store, 'orgs/')).filter((name) => name.includes('/packs/') && name !== pack);
    const path = join(workspace.folder, packs[0] as string);
    const other = await readFile(path);
    const record = other.subarray(FIRST, FIRST + RECORD_BYTES);
    expect([record.readUInt8(4), record.subarray(24, 56).toString('hex')]).toEqual([4, documentId]);
    record.writeUInt8(1, 4);
    record.writeUInt32LE(recordChecksum(record, record.readUInt32LE(16)), 20);
    await writeFile(path, other);
    await expect((await workspace.reopen()).readDocument(ref, documentId)).rejects.toMatchObject({ code: 'DOCUMENT_DAMAGED' });
  });

  it('to its pack and organization: a pack under another name or tenant opens nowhere', async () => {
    const other = await backUp(workspace.repository, 'rp-9', chunks, { organizationId: OTHER_ORGANIZATION });
    const theirs = (await names(workspace.store, 'orgs/')).find((name) => name.includes('/packs/') && name !== pack) as string;
    await rename(join(workspace.folder, pack), join(workspace.folder, theirs));
    const reader = await workspace.reopen();
    await expect(reader.openDisk(other.ref, other.disk)).rejects.toMatchObject({ code: expect.stringMatching(/^INDEX_/) });
  });
});

describe('what is wrapped opens by the documentation alone', () => {
  const hkdf = (key: Buffer, salt: Buffer, info: string) => Buffer.from(hkdfSync('sha256', key, salt, info, 32));
  const open = (key: Buffer, aad: string, wrapped: Record<string, string>) => {
    const part = (name: string) => Buffer.from(wrapped[name] as string, 'base64');
    const decipher = createDecipheriv('aes-256-gcm', key, part('nonce')).setAAD(Buffer.from(aad)).setAuthTag(part('tag'));
    return Buffer.concat([decipher.update(part('ciphertext')), decipher.final()]);
  };

  it('the recovery file and the key files', async () => {
    const text = await writeRecoveryKey(workspace.store, workspace.masterKey);
    const json = async (name: string) => JSON.parse(await readFile(join(workspace.folder, name), 'utf8'));
    const { repositoryId } = await json('repository.json');
    const salt = Buffer.from(repositoryId.replaceAll('-', ''), 'hex');
    const recoveryKey = Buffer.from(text.split('-').slice(1, 9).join(''), 'hex');
    const { wrappedMasterKey } = await json('recovery.json');
    const masterKey = open(hkdf(recoveryKey, salt, 'vapp-vault/1 recovery'), `vapp-vault master key\0${repositoryId}`, wrappedMasterKey);
    expect(masterKey).toEqual(workspace.masterKey);
    const [name] = await names(workspace.store, 'keys/');
    const { wrappedKey, organizationId } = await json(name as string);
    const aad = `vapp-vault organization key\0${repositoryId}\0${organizationId}`;
    expect(open(hkdf(masterKey, salt, 'vapp-vault/1 wrap organization keys'), aad, wrappedKey)).toHaveLength(32);
    expect(() => open(hkdf(masterKey, salt, 'vapp-vault/1 wrap organization keys'), `${aad}x`, wrappedKey)).toThrow();
  });
});
