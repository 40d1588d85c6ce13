import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { checkDescription, readDescription } from './description.js';
import { RepositoryError, isRepositoryError } from './errors.js';
import { FORMAT_VERSION, organizationFolder, uuidToBytes } from './format.js';
import { KEY_BYTES, OrganizationKeys, deriveKey } from './keys.js';
import type { BlobStore } from './types.js';

export interface WrappedKeyFile {
  formatVersion: number;
  organizationId: string;
  createdAt: string;
  wrappedKey: WrappedKey;
  /** The same key wrapped by the next master key, while that is being changed. */
  nextWrappedKey?: WrappedKey;
}

interface WrappedKey {
  nonce: string;
  ciphertext: string;
  tag: string;
}

interface Unwrapped {
  organizationKey: Buffer;
  wrapped: WrappedKey;
}

/** A key file that opens, and what opened it. */
export interface OpenedKeyFile {
  file: WrappedKeyFile;
  /** Of the file's wrappings, that by this master key. */
  wrapped: WrappedKey;
  keys: OrganizationKeys;
}

/** keys/HASH.json: the organization's key, wrapped by the master key. Deleting it erases the organization. */
export class KeyRing {
  private readonly wrappingKey: Buffer;

  constructor(
    private readonly store: BlobStore,
    private readonly masterKey: Buffer,
    private readonly repositoryId: string,
  ) {
    this.wrappingKey = deriveKey(masterKey, uuidToBytes(repositoryId), 'wrap organization keys');
  }

  nameOf(organizationId: string): string {
    return keyName(organizationId);
  }

  /**
   * @returns undefined when the organization has none.
   * @throws RepositoryError ORGANIZATION_KEY_DAMAGED; WRONG_MASTER_KEY where the master key was changed since this one was read.
   */
  async find(organizationId: string, signal?: AbortSignal): Promise<OrganizationKeys | undefined> {
    try {
      return (await this.openFile(keyName(organizationId), signal)).keys;
    } catch (error) {
      if (isRepositoryError(error, 'BLOB_NOT_FOUND')) return undefined;
      throw error;
    }
  }

  /**
   * @param name of a key file, as listed.
   * @throws RepositoryError BLOB_NOT_FOUND, and as `find` does.
   */
  async openFile(name: string, signal?: AbortSignal): Promise<OpenedKeyFile> {
    const file = await this.read(name, signal);
    if (keyName(file.organizationId) !== name) throw this.damaged(name, 'belongs to another organization');
    const { organizationKey, wrapped } = await this.unwrap(name, file);
    return { file, wrapped, keys: new OrganizationKeys(organizationKey) };
  }

  /**
   * What is there, whether or not it opens: the description beside it may be of another master key.
   * @returns undefined when there is none, or what there is does not read as one; `keys` when it opens.
   */
  async lookAt(name: string, signal?: AbortSignal): Promise<{ file: WrappedKeyFile; keys?: OrganizationKeys } | undefined> {
    try {
      const file = await this.read(name, signal);
      const opened = keyName(file.organizationId) === name ? this.tryUnwrap(file) : undefined;
      return { file, ...(opened && { keys: new OrganizationKeys(opened.organizationKey) }) };
    } catch (error) {
      if (isRepositoryError(error, 'BLOB_NOT_FOUND', 'ORGANIZATION_KEY_DAMAGED')) return undefined;
      throw error;
    }
  }

  /** Over what is there. */
  async replaceFile(name: string, file: WrappedKeyFile, signal?: AbortSignal): Promise<void> {
    await this.store.put(name, encodeKeyFile(file), { signal });
  }

  /** @throws RepositoryError as `find` does; ORGANIZATION_KEY_MISSING where it is lost, and retryable where it was shredded meanwhile. */
  async findOrMake(organizationId: string, signal?: AbortSignal): Promise<OrganizationKeys> {
    const found = await this.find(organizationId, signal);
    if (found) return found;
    await this.refuseLostKey(organizationId, signal);
    const file: WrappedKeyFile = {
      formatVersion: FORMAT_VERSION,
      organizationId,
      createdAt: new Date().toISOString(),
      wrappedKey: this.wrap(organizationId, randomBytes(KEY_BYTES)),
    };
    try {
      await this.store.put(keyName(organizationId), encodeKeyFile(file), { ifAbsent: true, signal });
    } catch (error) {
      // Another worker was first; its key is the organization's.
      if (!isRepositoryError(error, 'BLOB_EXISTS')) throw error;
    }
    const made = await this.find(organizationId, signal);
    if (made) return made;
    throw new RepositoryError(
      `Organization ${organizationId} was shredded while its key, ${keyName(organizationId)}, was made; what began then has to be begun again`,
      { code: 'ORGANIZATION_KEY_MISSING', subject: keyName(organizationId), retryable: true },
    );
  }

  /** A new key beside data of a lost one would make the copy of the lost one useless. */
  private async refuseLostKey(organizationId: string, signal?: AbortSignal): Promise<void> {
    const name = await this.sealedObject(organizationFolder(organizationId), signal);
    if (name === undefined) return;
    throw new RepositoryError(
      `The key of organization ${organizationId}, ${keyName(organizationId)}, is missing, and ${name} was made with it; put back a copy of the key, or shred the organization`,
      { code: 'ORGANIZATION_KEY_MISSING', subject: keyName(organizationId) },
    );
  }

  /** What holds data that only the key opens; whoever was still at work in a folder that is shredded may leave other things there. */
  private async sealedObject(folder: string, signal?: AbortSignal): Promise<string | undefined> {
    for (const part of ['manifests', 'packs']) {
      for await (const { name } of this.store.list(`orgs/${folder}/${part}/`, signal)) return name;
    }
    return undefined;
  }

  /** Folders (ORG) with data and no key: lost, or left over by a shredding that was interrupted. */
  async foldersWithoutKey(signal?: AbortSignal): Promise<string[]> {
    const known = new Set<string>();
    for await (const { name } of this.store.list('keys/', signal)) known.add(name.slice('keys/'.length, -'.json'.length));
    const folders = new Set<string>();
    for await (const { name } of this.store.list('orgs/', signal)) folders.add(name.split('/')[1] as string);
    const without: string[] = [];
    for (const folder of folders) if (!known.has(folder) && (await this.sealedObject(folder, signal)) !== undefined) without.push(folder);
    return without;
  }

  /** @param onDamaged told of a key file that does not read, instead of ending with its error; the organization is passed over. */
  async *organizationIds(signal?: AbortSignal, onDamaged?: (error: RepositoryError) => void): AsyncGenerator<string> {
    for await (const { name } of this.store.list('keys/', signal)) {
      let organizationId: string;
      try {
        organizationId = (await this.openFile(name, signal)).file.organizationId;
      } catch (error) {
        // Shredded since the listing.
        if (isRepositoryError(error, 'BLOB_NOT_FOUND')) continue;
        if (onDamaged === undefined || !isRepositoryError(error, 'ORGANIZATION_KEY_DAMAGED')) throw error;
        onDamaged(error);
        continue;
      }
      yield organizationId;
    }
  }

  /** Deleted, the key is gone for ever. Not to have one is no error. */
  async destroy(organizationId: string, signal?: AbortSignal): Promise<void> {
    try {
      await this.store.delete(keyName(organizationId), signal);
    } catch (error) {
      if (!isRepositoryError(error, 'BLOB_NOT_FOUND')) throw error;
    }
  }

  /** Whether every key file opens with this master key alone. */
  async isOnlyKey(signal?: AbortSignal): Promise<boolean> {
    for await (const { name } of this.store.list('keys/', signal)) {
      const file = await this.read(name, signal);
      if (file.nextWrappedKey !== undefined || this.tryUnwrap(file) === undefined) return false;
    }
    return true;
  }

  /** First step of a change of the master key: every key file opens with both. */
  async addWrapping(next: KeyRing, signal?: AbortSignal): Promise<void> {
    for await (const { name } of this.store.list('keys/', signal)) {
      const file = await this.read(name, signal);
      const { organizationKey } = await this.unwrap(name, file);
      await this.replaceFile(name, { ...file, nextWrappedKey: next.wrap(file.organizationId, organizationKey) }, signal);
    }
  }

  /** Last step: what the former master key wrapped is forgotten. @param former for keys made in between. */
  async dropOtherWrappings(former: KeyRing, signal?: AbortSignal): Promise<number> {
    let keys = 0;
    for await (const { name } of this.store.list('keys/', signal)) {
      const found = await this.read(name, signal);
      const opened = this.tryUnwrap(found) ?? former.tryUnwrap(found);
      if (opened === undefined) throw this.unopened(name);
      const { nextWrappedKey: _, ...file } = found;
      await this.replaceFile(name, { ...file, wrappedKey: this.wrap(file.organizationId, opened.organizationKey) }, signal);
      keys += 1;
    }
    return keys;
  }

  /**
   * A random nonce of 96 bits: with a wrapping key used once an organization and change, far from the 2^32 uses at which two
   * would meet with a probability of 2^-32 (NIST SP 800-38D, 8.3).
   */
  private wrap(organizationId: string, organizationKey: Buffer): WrappedKey {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.wrappingKey, nonce).setAAD(this.aad(organizationId));
    const ciphertext = Buffer.concat([cipher.update(organizationKey), cipher.final()]);
    const text = (bytes: Buffer) => bytes.toString('base64');
    return { nonce: text(nonce), ciphertext: text(ciphertext), tag: text(cipher.getAuthTag()) };
  }

  private async read(name: string, signal?: AbortSignal): Promise<WrappedKeyFile> {
    const text = (await this.store.get(name, undefined, signal)).toString('utf8');
    let file: Partial<WrappedKeyFile>;
    try {
      file = JSON.parse(text) as Partial<WrappedKeyFile>;
    } catch (cause) {
      throw this.damaged(name, 'is not JSON', cause);
    }
    if (
      file?.formatVersion !== FORMAT_VERSION ||
      typeof file.organizationId !== 'string' ||
      typeof file.wrappedKey?.ciphertext !== 'string'
    ) {
      throw this.damaged(name, 'is incomplete or of an unknown format version');
    }
    return file as WrappedKeyFile;
  }

  private async unwrap(name: string, file: WrappedKeyFile): Promise<Unwrapped> {
    const opened = this.tryUnwrap(file);
    if (opened !== undefined) return opened;
    // While a process runs, the master key may be changed: then there is nothing wrong with the file, and nothing to put back.
    checkDescription(await readDescription(this.store), this.masterKey);
    throw this.unopened(name);
  }

  private tryUnwrap(file: WrappedKeyFile): Unwrapped | undefined {
    for (const wrapped of [file.wrappedKey, file.nextWrappedKey]) {
      try {
        if (wrapped) return { organizationKey: this.open(file.organizationId, wrapped), wrapped };
      } catch {
        // Wrapped by the other master key, or damaged.
      }
    }
    return undefined;
  }

  private open(organizationId: string, wrapped: WrappedKey): Buffer {
    const part = (value: string) => Buffer.from(value, 'base64');
    const decipher = createDecipheriv('aes-256-gcm', this.wrappingKey, part(wrapped.nonce), { authTagLength: 16 });
    decipher.setAAD(this.aad(organizationId)).setAuthTag(part(wrapped.tag));
    return Buffer.concat([decipher.update(part(wrapped.ciphertext)), decipher.final()]);
  }

  private aad(organizationId: string): Buffer {
    return Buffer.from(`vapp-vault organization key\0${this.repositoryId}\0${organizationId}`);
  }

  private unopened(name: string): RepositoryError {
    return this.damaged(name, 'does not open with the master key');
  }

  private damaged(name: string, what: string, cause?: unknown): RepositoryError {
    return new RepositoryError(`The organization key ${name} ${what}; put back a copy of this file`, {
      code: 'ORGANIZATION_KEY_DAMAGED',
      subject: name,
      cause,
    });
  }
}

function keyName(organizationId: string): string {
  return `keys/${organizationFolder(organizationId)}.json`;
}

function encodeKeyFile(file: WrappedKeyFile): Buffer {
  return Buffer.from(`${JSON.stringify(file, undefined, 2)}\n`);
}
