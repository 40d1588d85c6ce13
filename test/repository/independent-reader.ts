import { createDecipheriv, createHash, createHmac, hkdfSync } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { decompress } from '../../src/native/index.js';

/**
 * Restores a disk from a repository folder, written from docs/repository-format.md alone: it
 * imports nothing of src/repository. Only zstd itself is borrowed (node 20 has none).
 */
export class IndependentReader {
  private readonly org: string;
  private readonly organizationKey: Buffer;
  private readonly where = new Map<string, { pack: string; offset: number; length: number }>();

  constructor(
    private readonly folder: string,
    masterKey: Buffer,
    private readonly organizationId: string,
  ) {
    const description = JSON.parse(readFileSync(join(folder, 'repository.json'), 'utf8'));
    const repositorySalt = Buffer.from(description.repositoryId.replaceAll('-', ''), 'hex');
    const check = createHmac('sha256', hkdf(masterKey, repositorySalt, 'master key check'))
      .update(description.repositoryId)
      .digest('hex');
    if (check !== description.masterKeyCheck) throw new Error('wrong master key');
    this.org = sha256(`vapp-vault organization\0${organizationId}`).toString('hex').slice(0, 32);
    const { wrappedKey } = JSON.parse(readFileSync(join(folder, 'keys', `${this.org}.json`), 'utf8'));
    const wrappingKey = hkdf(masterKey, repositorySalt, 'wrap organization keys');
    const aad = Buffer.from(`vapp-vault organization key\0${description.repositoryId}\0${organizationId}`);
    const sealed = Buffer.concat([Buffer.from(wrappedKey.ciphertext, 'base64'), Buffer.from(wrappedKey.tag, 'base64')]);
    this.organizationKey = gcm(wrappingKey, Buffer.from(wrappedKey.nonce, 'base64'), aad, sealed);
    this.readTrailers();
  }

  manifest(restorePointId: string): { disks: { diskId: string; indexId: string }[]; content: unknown } {
    const name = `manifests/${restorePointId}`;
    const bytes = readFileSync(join(this.folder, 'orgs', this.org, name));
    if (bytes.toString('latin1', 0, 8) !== 'vvblob01') throw new Error('no blob');
    return JSON.parse(this.openRecord(bytes.subarray(64), bytes.subarray(32, 64), name, 'manifest', 6).toString('utf8'));
  }

  /** Data chunks only: byte offset on the disk and plaintext. */
  *chunks(indexId: string): Generator<{ offsetBytes: number; bytes: Buffer }> {
    const root = this.fetch(indexId, 'root', 3);
    if (root.toString('latin1', 0, 8) !== 'vvindex1') throw new Error('no root');
    const chunkBytes = root.readUInt32LE(8);
    for (let page = 0; page < root.readUInt32LE(24); page += 1) {
      const pageId = root.toString('hex', 32 + page * 32, 64 + page * 32);
      if (/^0+$/.test(pageId)) continue;
      const ids = this.fetch(pageId, 'page', 2);
      for (let i = 0; i < 4096; i += 1) {
        const id = ids.toString('hex', i * 32, i * 32 + 32);
        if (!/^0+$/.test(id)) yield { offsetBytes: (page * 4096 + i) * chunkBytes, bytes: this.fetch(id, 'data', 1) };
      }
    }
  }

  private readTrailers(): void {
    const packs = join(this.folder, 'orgs', this.org, 'packs');
    for (const xx of readdirSync(packs)) {
      for (const packId of readdirSync(join(packs, xx))) {
        const pack = readFileSync(join(packs, xx, packId));
        const footer = pack.subarray(pack.length - 64);
        const entries = Number(footer.readBigUInt64LE(16));
        const trailer = pack.subarray(entries, pack.length - 32);
        const mac = createHmac('sha256', hkdf(this.organizationKey, Buffer.alloc(0), 'pack trailers'));
        if (!mac.update(pack.subarray(0, 64)).update(trailer).digest().equals(footer.subarray(32)))
          throw new Error('trailer is not authentic');
        for (let i = 0; i < footer.readUInt32LE(8); i += 1) {
          const entry = pack.subarray(entries + i * 48, entries + i * 48 + 48);
          const place = { pack: `packs/${xx}/${packId}`, offset: entry.readUInt32LE(32), length: entry.readUInt32LE(36) };
          this.where.set(entry.toString('hex', 0, 32), place);
        }
      }
    }
  }

  private fetch(id: string, kindName: string, kind: number): Buffer {
    const place = this.where.get(id);
    if (!place) throw new Error(`no pack holds ${id}`);
    const pack = readFileSync(join(this.folder, 'orgs', this.org, place.pack));
    const record = pack.subarray(place.offset, place.offset + place.length);
    return this.openRecord(record, pack.subarray(32, 64), place.pack, kindName, kind);
  }

  private openRecord(record: Buffer, salt: Buffer, name: string, kindName: string, kind: number): Buffer {
    const payloadLength = record.readUInt32LE(16);
    if (record.toString('latin1', 0, 4) !== 'vvrc' || record[4] !== kind) throw new Error('wrong record');
    const checksum = crc32(record.subarray(24, 56 + payloadLength), crc32(record.subarray(0, 20)));
    if (checksum !== record.readUInt32LE(20)) throw new Error('wrong checksum');
    const id = record.subarray(24, 56);
    const nonce = Buffer.concat([Buffer.alloc(8), record.subarray(8, 12)]);
    const context = sha256(`vapp-vault\0${this.organizationId}\0${name}`);
    const aad = Buffer.concat([Buffer.from([kind, 0, 0, 0]), record.subarray(12, 16), id, context]);
    const key = hkdf(hkdf(this.organizationKey, Buffer.alloc(0), 'containers'), salt, 'container');
    const opened = gcm(key, nonce, aad, record.subarray(56, 56 + payloadLength));
    const plaintext = record[5] === 1 ? decompress(opened, record.readUInt32LE(12)) : opened;
    const digestKey = hkdf(this.organizationKey, Buffer.alloc(0), `digest ${kindName}`);
    if (!createHmac('sha256', digestKey).update(plaintext).digest().equals(id)) throw new Error('wrong id');
    return plaintext;
  }
}

function hkdf(key: Buffer, salt: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, salt, `vapp-vault/1 ${purpose}`, 32));
}

function gcm(key: Buffer, nonce: Buffer, aad: Buffer, sealed: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
  decipher.setAAD(aad).setAuthTag(sealed.subarray(sealed.length - 16));
  return Buffer.concat([decipher.update(sealed.subarray(0, sealed.length - 16)), decipher.final()]);
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
