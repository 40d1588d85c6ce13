import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openMasterKey } from './master-key.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vapp-vault-key-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('openMasterKey', () => {
  it('makes the key once, for its owner alone, however many start at the same moment', async () => {
    const path = join(folder, 'keys', 'master.key');
    const keys = await Promise.all(Array.from({ length: 8 }, () => openMasterKey({ path, makeIfMissing: true })));
    expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(1);
    expect(keys[0]).toHaveLength(32);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'keys'))).mode & 0o777).toBe(0o700);
    expect(await readdir(join(folder, 'keys'))).toEqual(['master.key']);
    expect(await readFile(path, 'utf8')).toBe(`${keys[0]?.toString('base64')}\n`);
  });

  it('makes a data folder that PostgreSQL’s user can pass through, whatever the umask', async () => {
    const former = process.umask(0o077);
    try {
      await openMasterKey({ path: join(folder, 'new', 'data', 'keys', 'master.key'), makeIfMissing: true });
    } finally {
      process.umask(former);
    }
    const modes = await Promise.all(
      ['new', 'new/data', 'new/data/keys'].map(async (name) => (await stat(join(folder, name))).mode & 0o777),
    );
    expect(modes).toEqual([0o711, 0o711, 0o700]);
  });

  it('does not make a key in a place a person named', async () => {
    const path = join(folder, 'named.key');
    await expect(openMasterKey({ path, makeIfMissing: false })).rejects.toThrow(/named\.key does not exist.*openssl rand/);
  });

  it.each([
    ['another length', `${Buffer.alloc(16, 7).toString('base64')}\n`],
    ['no base64', `${'!'.repeat(44)}\n`],
    ['nothing', ''],
  ])('refuses a file that holds %s, without showing it', async (_, content) => {
    const path = join(folder, 'bad.key');
    await writeFile(path, content, { mode: 0o600 });
    await expect(openMasterKey({ path, makeIfMissing: true })).rejects.toThrow(
      `The master key file ${path} does not hold 32 bytes in base64.`,
    );
  });

  it('refuses a key others can read', async () => {
    const path = join(folder, 'open.key');
    await writeFile(path, Buffer.alloc(32, 9).toString('base64'));
    await chmod(path, 0o640);
    await expect(openMasterKey({ path, makeIfMissing: true })).rejects.toThrow(`chmod 600 ${path}`);
  });
});

describe('a master key from elsewhere', () => {
  const key = Buffer.alloc(32, 7);
  const file = { path: '/nonexistent/master.key', makeIfMissing: true };

  it('comes from a command or from the environment, and no file is read or made', async () => {
    expect(await openMasterKey({ ...file, command: `echo ${key.toString('base64')}` })).toEqual(key);
    expect(await openMasterKey({ ...file, text: ` ${key.toString('base64')}\n` })).toEqual(key);
  });

  it.each([
    ['fails', { command: 'echo secret-words; echo secret-words >&2; exit 3' }, /failed with code 3/],
    ['prints no key', { command: 'echo secret-words' }, /32 bytes in base64/],
    ['prints nothing', { command: 'true' }, /32 bytes in base64/],
    ['prints too much', { command: 'yes secret-words' }, /said too much|failed/],
    ['is no key', { text: 'secret-words' }, /VAPP_VAULT_MASTER_KEY does not hold 32 bytes/],
    ['is given twice', { text: 'secret-words', command: 'true' }, /given twice/],
  ])('that %s is refused, and nothing of it is repeated', async (_what, source, message) => {
    const error = await openMasterKey({ ...file, ...source }).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: 'MASTER_KEY_UNUSABLE', message: expect.stringMatching(message) });
    expect((error as Error).message).not.toContain('secret-words');
  });
});
