import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { CloudError } from './errors.js';

const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Passwords at rest: AES-256-GCM under a key of their own, derived (HKDF-SHA-256) from the master
 * key. The cloud's id is associated data, so that a row cannot lend its passwords to another.
 * Layout: version (1 byte), nonce (12), ciphertext, tag (16).
 */
export class CredentialSeal {
  private readonly key: Buffer;

  constructor(masterKey: Buffer) {
    this.key = Buffer.from(hkdfSync('sha256', masterKey, Buffer.alloc(0), 'vapp-vault cloud credentials v1', 32));
  }

  seal(cloudId: string, passwords: SealedPasswords): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(Buffer.from(cloudId, 'utf8'));
    const text = Buffer.concat([cipher.update(JSON.stringify(passwords), 'utf8'), cipher.final()]);
    return Buffer.concat([Buffer.of(VERSION), nonce, text, cipher.getAuthTag()]);
  }

  /** @throws CloudError CREDENTIALS_SEALED_OTHERWISE: another master key, another row, or damage. */
  open(cloudId: string, cloudName: string, sealed: Buffer): SealedPasswords {
    try {
      if (sealed[0] !== VERSION) throw new Error(`seal version ${sealed[0]}`);
      const nonce = sealed.subarray(1, 1 + NONCE_BYTES);
      const decipher = createDecipheriv('aes-256-gcm', this.key, nonce, { authTagLength: TAG_BYTES });
      decipher.setAAD(Buffer.from(cloudId, 'utf8'));
      decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
      const text = Buffer.concat([decipher.update(sealed.subarray(1 + NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
      return JSON.parse(text.toString('utf8')) as SealedPasswords;
    } catch (cause) {
      throw new CloudError(
        'CREDENTIALS_SEALED_OTHERWISE',
        `The passwords of cloud "${cloudName}" cannot be opened with this master key; start with the key they were sealed with, or register the cloud again.`,
        { subject: `cloud "${cloudName}"`, cause },
      );
    }
  }
}

export interface SealedPasswords {
  vcd: string;
  /** By vCenter instance UUID. */
  vcenters: Record<string, string>;
}
