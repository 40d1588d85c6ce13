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
});
