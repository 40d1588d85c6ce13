import type { DataSource } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CredentialSeal } from '../../src/clouds/credential-seal.js';
import { resealCredentials } from '../../src/clouds/reseal-credentials.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';

const former = Buffer.alloc(32, 5);
const present = Buffer.alloc(32, 6);
const secrets = (n: number) => ({ vcd: `pässword ${n}`, vcenters: { 'uuid-1': `vcenter ${n}` } });

let database: TestDatabase;
let source: DataSource;
beforeAll(async () => {
  database = await startTestDatabase();
  source = await database.connect([]);
}, 60_000);
afterAll(() => database?.stop());
beforeEach(async () => {
  await source.query('DELETE FROM clouds');
  await source.query('DELETE FROM service_account_tokens');
  const seal = new CredentialSeal(former);
  for (const n of [1, 2, 3]) {
    await source.query(`INSERT INTO clouds (id, name, vcd, vcenters, sealed_passwords) VALUES ($1, $1, '{}', '[]', $2)`, [
      `cloud-${n}`,
      seal.seal(`cloud-${n}`, secrets(n)),
    ]);
  }
  await source.query('INSERT INTO service_account_tokens (id, sealed_token) VALUES ($1, $2)', [
    'account',
    seal.sealText('account', 'token'),
  ]);
});

/** With the keys a service has at that time. */
async function expectAllOpen(seal: CredentialSeal): Promise<void> {
  const clouds: { id: string; sealed: Buffer }[] = await source.query('SELECT id, sealed_passwords AS sealed FROM clouds ORDER BY id');
  expect(clouds.map(({ id, sealed }) => seal.open(id, id, sealed))).toEqual([1, 2, 3].map(secrets));
  const [account]: { sealed: Buffer }[] = await source.query('SELECT sealed_token AS sealed FROM service_account_tokens');
  expect(seal.openText('account', 'token', account?.sealed ?? Buffer.alloc(0))).toBe('token');
}

describe('sealing stored logins anew after a change of the master key', () => {
  it('leaves nothing sealed with the former key, and is no harm once more', async () => {
    const both = new CredentialSeal(present, former);
    await expectAllOpen(both);
    expect(await resealCredentials(source, both)).toEqual({ sealedAnew: 4, asBefore: 0, unreadable: [] });
    await expectAllOpen(new CredentialSeal(present));
    expect(await resealCredentials(source, both)).toEqual({ sealedAnew: 0, asBefore: 4, unreadable: [] });
    await expect(expectAllOpen(new CredentialSeal(former))).rejects.toMatchObject({ code: 'CREDENTIALS_SEALED_OTHERWISE' });
  });

  it('interrupted after any row, everything opens for who has both keys, and it goes on', async () => {
    for (let after = 0; after < 4; after += 1) {
      let changes = 0;
      const dying = new Proxy(source, {
        get: (target, property) => {
          if (property !== 'transaction') return Reflect.get(target, property).bind(target);
          return (work: never) => {
            if (changes >= after) return Promise.reject(new Error('killed'));
            changes += 1;
            return target.transaction(work);
          };
        },
      });
      await expect(resealCredentials(dying, new CredentialSeal(present, former))).rejects.toThrow('killed');
      await expectAllOpen(new CredentialSeal(present, former));
    }
    await resealCredentials(source, new CredentialSeal(present, former));
    await expectAllOpen(new CredentialSeal(present));
  });

  it('names what opens with neither key, and seals the others anew', async () => {
    const stranger = new CredentialSeal(Buffer.alloc(32, 9));
    await source.query('UPDATE clouds SET sealed_passwords = $1 WHERE id = $2', [stranger.seal('cloud-2', secrets(2)), 'cloud-2']);
    expect(await resealCredentials(source, new CredentialSeal(present, former))).toEqual({
      sealedAnew: 3,
      asBefore: 0,
      unreadable: ['passwords of cloud cloud-2'],
    });
  });
});
