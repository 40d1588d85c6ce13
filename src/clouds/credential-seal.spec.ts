import { createDecipheriv, hkdfSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { CredentialSeal } from './credential-seal.js';

const passwords = { vcd: 'pässword one', vcenters: { 'uuid-1': 'two' } };

describe('CredentialSeal', () => {
  const seal = new CredentialSeal(Buffer.alloc(32, 5));

  it('gives back what was sealed, and seals it differently each time', () => {
    const sealed = seal.seal('cloud-1', passwords);
    expect(seal.open('cloud-1', 'prod', sealed)).toEqual(passwords);
    expect(sealed.includes('two')).toBe(false);
    expect(seal.seal('cloud-1', passwords).equals(sealed)).toBe(false);
  });

  it('opens for no other cloud, no other master key, and not when a bit was changed', () => {
    const sealed = seal.seal('cloud-1', passwords);
    const refusal = expect.objectContaining({ code: 'CREDENTIALS_SEALED_OTHERWISE', message: expect.stringContaining('"prod"') });
    expect(() => seal.open('cloud-2', 'prod', sealed)).toThrow(refusal);
    expect(() => new CredentialSeal(Buffer.alloc(32, 6)).open('cloud-1', 'prod', sealed)).toThrow(refusal);
    for (const index of [0, 5, 20, sealed.length - 1]) {
      const changed = Buffer.from(sealed);
      changed.writeUInt8(changed.readUInt8(index) ^ 4, index);
      expect(() => seal.open('cloud-1', 'prod', changed)).toThrow(refusal);
    }
    expect(() => seal.open('cloud-1', 'prod', Buffer.alloc(3, 1))).toThrow(refusal);
  });

  it('is AES-256-GCM under a key derived from the master key, laid out as documented', () => {
    const sealed = seal.sealText('row', 'text');
    const key = Buffer.from(hkdfSync('sha256', Buffer.alloc(32, 5), Buffer.alloc(0), 'vapp-vault cloud credentials v1', 32));
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(1, 13))
      .setAAD(Buffer.from('row'))
      .setAuthTag(sealed.subarray(-16));
    expect([sealed[0], decipher.update(sealed.subarray(13, -16), undefined, 'utf8') + decipher.final('utf8')]).toEqual([1, 'text']);
  });

  it('opens with the former master key, too, while that is being changed, and seals anew', () => {
    const sealed = seal.sealText('row', 'text');
    const both = new CredentialSeal(Buffer.alloc(32, 6), Buffer.alloc(32, 5));
    expect(both.openText('row', 'it', sealed)).toBe('text');
    const anew = both.resealed('row', 'it', sealed) as Buffer;
    expect(new CredentialSeal(Buffer.alloc(32, 6)).openText('row', 'it', anew)).toBe('text');
    expect(both.resealed('row', 'it', anew)).toBeUndefined();
    expect(() => both.resealed('other', 'it', sealed)).toThrow(/cannot be opened/);
  });
});
