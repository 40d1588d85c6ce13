import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { CloudError } from './errors.js';

const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CREDENTIALS = 'vapp-vault cloud credentials v1';

/**
 * Secrets at rest: AES-256-GCM under a key of their own, derived (HKDF-SHA-256) from the master
 * key. The row's id is associated data, so that a row cannot lend its secrets to another.
 * Layout: version (1 byte), nonce (12), ciphertext, tag (16). The nonces are random: one key seals a row a registration, a change
 * of a login or an exchange of a token, far from the 2^32 uses at which two would meet with a probability of 2^-32 (NIST SP 800-38D, 8.3).
 */
export class CredentialSeal {
  private readonly key: Buffer;
  private readonly formerKey: Buffer | undefined;
  private readonly digestKey: Buffer;

  /** @param formerMasterKey opens what was not sealed anew yet, while the master key is being changed. */
  constructor(masterKey: Buffer, formerMasterKey?: Buffer | null) {
    this.key = derive(masterKey, CREDENTIALS);
    this.formerKey = formerMasterKey ? derive(formerMasterKey, CREDENTIALS) : undefined;
    this.digestKey = derive(masterKey, 'vapp-vault service account ids v1');
  }

  seal(cloudId: string, secrets: SealedSecrets): Buffer {
    return this.sealText(cloudId, JSON.stringify(secrets));
  }

  /** @throws CloudError CREDENTIALS_SEALED_OTHERWISE: another master key, another row, or damage. */
  open(cloudId: string, cloudName: string, sealed: Buffer): SealedSecrets {
    return JSON.parse(this.openText(cloudId, `passwords of cloud "${cloudName}"`, sealed)) as SealedSecrets;
  }

  sealText(rowId: string, text: string): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(Buffer.from(rowId, 'utf8'));
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([Buffer.of(VERSION), nonce, sealed, cipher.getAuthTag()]);
  }

  /** @param what names it in the error: `passwords of cloud "prod"`. @throws CloudError CREDENTIALS_SEALED_OTHERWISE. */
  openText(rowId: string, what: string, sealed: Buffer): string {
    const text = openWith(this.key, rowId, sealed) ?? (this.formerKey && openWith(this.formerKey, rowId, sealed));
    if (text !== undefined) return text;
    throw new CloudError(
      'CREDENTIALS_SEALED_OTHERWISE',
      `The ${what} cannot be opened with this master key; start with the key they were sealed with, or register the cloud again.`,
      { subject: what },
    );
  }

  /** @returns undefined when it is sealed with the present master key already. @throws CloudError CREDENTIALS_SEALED_OTHERWISE. */
  resealed(rowId: string, what: string, sealed: Buffer): Buffer | undefined {
    if (openWith(this.key, rowId, sealed) !== undefined) return undefined;
    return this.sealText(rowId, this.openText(rowId, what, sealed));
  }

  /** Tells whether two secrets are one, and nothing else about them. */
  digest(secret: string): string {
    return createHmac('sha256', this.digestKey).update(secret, 'utf8').digest('hex');
  }
}

function derive(masterKey: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', masterKey, Buffer.alloc(0), purpose, 32));
}

/** @returns undefined for another key, another row, or damage. */
function openWith(key: Buffer, rowId: string, sealed: Buffer): string | undefined {
  try {
    if (sealed[0] !== VERSION) return undefined;
    const nonce = sealed.subarray(1, 1 + NONCE_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(rowId, 'utf8'));
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    const text = Buffer.concat([decipher.update(sealed.subarray(1 + NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
    return text.toString('utf8');
  } catch {
    return undefined;
  }
}

/** The form of the first release: there, `vcd` was always a password. */
export interface SealedSecrets {
  /** The password or the API token; absent for a service account, whose token has a row of its own. */
  vcd?: string;
  /** By vCenter instance UUID. */
  vcenters: Record<string, string>;
}
