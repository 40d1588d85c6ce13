import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { invalidArgument } from './errors.js';
import { RECORD_KINDS, uuidToBytes, type RecordKind } from './format.js';

export const KEY_BYTES = 32;
const DIGEST_PURPOSES = Object.keys(RECORD_KINDS) as RecordKind[];

/** HKDF-SHA256 with a purpose in clear words: two purposes never share a key. */
export function deriveKey(key: Buffer, salt: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, salt, `vapp-vault/1 ${purpose}`, KEY_BYTES));
}

export function checkMasterKey(masterKey: Buffer): void {
  if (!Buffer.isBuffer(masterKey) || masterKey.length !== KEY_BYTES) throw invalidArgument('A master key is a Buffer of 32 bytes');
}

/** Tells a wrong master key from damage, without helping anybody to guess the key. */
export function masterKeyCheck(masterKey: Buffer, repositoryId: string): Buffer {
  return createHmac('sha256', deriveKey(masterKey, uuidToBytes(repositoryId), 'master key check'))
    .update(repositoryId)
    .digest();
}

/** Everything derived from one organization's random key. Lives in memory only. */
export class OrganizationKeys {
  private readonly digestKeys: ReadonlyMap<RecordKind, Buffer>;
  private readonly containerKey: Buffer;
  private readonly trailerKey: Buffer;

  constructor(organizationKey: Buffer) {
    const none = Buffer.alloc(0);
    // A key for each kind: a document that happens to equal a page must not get the page's id.
    this.digestKeys = new Map(DIGEST_PURPOSES.map((kind) => [kind, deriveKey(organizationKey, none, `digest ${kind}`)]));
    this.containerKey = deriveKey(organizationKey, none, 'containers');
    this.trailerKey = deriveKey(organizationKey, none, 'pack trailers');
  }

  /** Of the same organization key. */
  equals(other: OrganizationKeys): boolean {
    return equalBytes(this.trailerKey, other.trailerKey);
  }

  digestKey(kind: RecordKind): Buffer {
    return this.digestKeys.get(kind) as Buffer;
  }

  digest(kind: RecordKind, plaintext: Uint8Array): Buffer {
    return createHmac('sha256', this.digestKey(kind)).update(plaintext).digest();
  }

  /** One key a container: its nonces are mere counters and never meet another container's. */
  sealingKey(salt: Buffer): Buffer {
    return deriveKey(this.containerKey, salt, 'container');
  }

  trailerMac(...parts: Buffer[]): Buffer {
    const mac = createHmac('sha256', this.trailerKey);
    for (const part of parts) mac.update(part);
    return mac.digest();
  }
}

export function equalBytes(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
