import { execFileSync } from 'node:child_process';
import promises, {
  chmod,
  link,
  mkdir,
  mkdtemp,
  open,
  readdir,
  rename,
  rm,
  stat,
  statfs,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CALL_LIMITS } from './folder-calls.js';
import { FolderStore } from './folder-store.js';

let folder: string;
let store: FolderStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vapp-vault-store-'));
  store = await FolderStore.open(folder);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function list(prefix: string) {
  const found = [];
  for await (const { name, sizeBytes } of store.list(prefix)) found.push([name, sizeBytes]);
  return found;
}

describe('FolderStore', () => {
  it('gives back what was put, whole and in ranges, private to this user', async () => {
    await store.put('a/b/c.json', [Buffer.from('hello '), Buffer.from('world')]);
    expect((await store.get('a/b/c.json')).toString()).toBe('hello world');
    expect((await store.get('a/b/c.json', { offset: 6, length: 3 })).toString()).toBe('wor');
    expect(await store.size('a/b/c.json')).toBe(11);
    expect((await stat(join(folder, 'a/b/c.json'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'a/b'))).mode & 0o777).toBe(0o700);
    expect(await readdir(join(folder, '.tmp'))).toEqual([]);
    await expect(store.get('a/b/c.json', { offset: 6, length: 6 })).rejects.toMatchObject({ code: 'BLOB_TRUNCATED' });
    expect(await store.freeBytes()).toBeGreaterThan(0);
  });

  it('leaves as many bytes free as it is told to, and says which folder is full', async () => {
    const told = (async () => ({ bavail: 100, bsize: 10 })) as unknown as typeof promises.statfs;
    const small = await FolderStore.open(folder, { ...promises, statfs: told });
    const data = [Buffer.alloc(60, 1), Buffer.alloc(40, 2)];
    await expect(small.put('pack', data, { leaveFreeBytes: 901 })).rejects.toMatchObject({
      ...{ code: 'REPOSITORY_FULL', retryable: false, subject: folder },
      message: `The file system of the repository folder ${folder} would have less than 901 B left, which are kept for freeing space; delete restore points or add storage`,
    });
    expect(await readdir(join(folder, '.tmp'))).toEqual([]);
    await small.put('pack', data, { leaveFreeBytes: 900 });
    expect(await small.size('pack')).toBe(100);
  });

  it('opens an object once for ranges read side by side, and anew after a put or a delete', async () => {
    const opened: string[] = [];
    let hold: Promise<void> | undefined;
    const files = { link, mkdir, readdir, rename, stat, statfs, unlink };
    const holding = (async (...args: Parameters<typeof open>) => {
      const file = await open(...args);
      if (args[1] === 'r' && String(args[0]).endsWith('/pack')) {
        opened.push(String(args[0]));
        await hold;
      }
      return file;
    }) as typeof open;
    const held = await FolderStore.open(folder, { ...files, open: holding }, { ...CALL_LIMITS, callsAtOnce: 8 });
    const range = (i: number) => held.get('pack', { offset: i, length: 1 });
    await held.put('pack', Buffer.from('0123456789'));
    expect(Buffer.concat(await Promise.all(Array.from({ length: 10 }, (_, i) => range(i)))).toString()).toBe('0123456789');
    expect(opened).toHaveLength(1);

    let release: () => void = () => undefined;
    hold = new Promise((resolve) => (release = resolve));
    const early = range(3);
    const joined = range(4);
    while (opened.length < 2) await nextTurn();
    await held.put('pack', Buffer.from('abcdefghij'));
    const late = range(3);
    const whole = held.get('pack');
    while (opened.length < 4) await nextTurn();
    await held.delete('pack');
    await expect(range(3)).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND' });
    release();
    expect(String(Buffer.concat(await Promise.all([early, joined, late, whole])))).toBe('34dabcdefghij');
    const descriptors = async () => (await readdir('/proc/self/fd')).length;
    const before = await descriptors();
    await held.put('pack', Buffer.from('0123456789'));
    for (let round = 0; round < 20; round += 1) await Promise.all([range(1), range(2), held.get('pack')]);
    await vi.waitFor(async () => expect(await descriptors()).toBeLessThan(before + 20));
  });

  it('lists by prefix, in order, without temporary files', async () => {
    for (const name of ['p/2', 'p/10', 'p/x/1', 'q/1', 'p-other']) await store.put(name, Buffer.from(name));
    await writeFile(join(folder, '.tmp', 'half'), 'x');
    expect(await list('p/')).toEqual([
      ['p/10', 4],
      ['p/2', 3],
      ['p/x/1', 5],
    ]);
    expect((await list('')).map(([name]) => name)).toEqual(['p-other', 'p/10', 'p/2', 'p/x/1', 'q/1']);
    expect(await list('absent/')).toEqual([]);
    await store.delete('p/2');
    expect(await list('p/2')).toEqual([]);
  });

  it('puts a name once with ifAbsent, however many try at one moment', async () => {
    const outcomes = await Promise.allSettled([1, 2, 3, 4].map((n) => store.put('once', Buffer.from(`${n}`), { ifAbsent: true })));
    expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(1);
    for (const outcome of outcomes) if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'BLOB_EXISTS' });
    const winner = outcomes.findIndex((outcome) => outcome.status === 'fulfilled') + 1;
    expect((await store.get('once')).toString()).toBe(`${winner}`);
    expect(await readdir(join(folder, '.tmp'))).toEqual([]);
  });

  it('tells absence from an unreachable folder', async () => {
    await expect(store.get('x/y')).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND' });
    await expect(store.delete('x')).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND' });
    expect(await store.size('x')).toBeUndefined();
    await rm(folder, { recursive: true });
    const attempts = [
      () => store.get('x'),
      () => store.put('x', Buffer.from('1')),
      () => store.size('x'),
      () => list(''),
      () => store.delete('x'),
    ];
    for (const attempt of attempts) {
      await expect(attempt()).rejects.toMatchObject({ code: 'REPOSITORY_UNREACHABLE', retryable: true });
    }
    await expect(stat(folder)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('tells its file system that was mounted anew from the folder where it is missing', async () => {
    const mounted = { dev: 0, ino: 0 };
    const files = {
      ...promises,
      stat: (async (path: string) => {
        const status = await stat(path);
        if (path !== folder) return status;
        return Object.assign(status, { dev: status.dev + mounted.dev, ino: status.ino + mounted.ino });
      }) as typeof stat,
    };
    const mount = await FolderStore.open(folder, files);
    await mount.put('x', Buffer.from('1'));
    Object.assign(mounted, { dev: 1, ino: 1 });
    for (const call of [() => mount.put('y', Buffer.from('2')), () => mount.size('y')]) {
      await expect(call()).rejects.toMatchObject({
        code: 'REPOSITORY_UNREACHABLE',
        message: expect.stringMatching(/check that it is mounted$/),
      });
    }
    expect(await readdir(folder)).not.toContain('y');
    Object.assign(mounted, { dev: 2, ino: 0 });
    await mount.put('y', Buffer.from('2'));
    expect((await mount.get('x')).toString()).toBe('1');
  });

  it.each(['../x', '/etc/passwd', 'a//b', 'a/../b', 'A', 'a b', '', '.tmp/x', 'a/.', 'a\0b'])('refuses the name %j', async (name) => {
    await expect(store.put(name, Buffer.from('x'))).rejects.toMatchObject({ code: 'BLOB_NAME_INVALID' });
    await expect(store.get(name)).rejects.toMatchObject({ code: 'BLOB_NAME_INVALID' });
  });

  it('removes temporary files of dead processes when they are old, and only then', async () => {
    for (const name of ['old', 'young']) await writeFile(join(folder, '.tmp', name), name);
    const twoDaysAgo = new Date(Date.now() - 2 * 24 * 3600 * 1000);
    await utimes(join(folder, '.tmp', 'old'), twoDaysAgo, twoDaysAgo);
    await FolderStore.open(folder);
    expect(await readdir(join(folder, '.tmp'))).toEqual(['young']);
  });

  it.skipIf(process.getuid?.() === 0)('says that it may not write', async () => {
    await chmod(join(folder, '.tmp'), 0o500);
    await expect(store.put('x', Buffer.from('1'))).rejects.toMatchObject({ code: 'REPOSITORY_DENIED' });
    await chmod(join(folder, '.tmp'), 0o700);
  });

  it('has nothing open any more when it is closed', async () => {
    await store.put('x', Buffer.from('1'));
    let left = 0;
    const files = {
      ...promises,
      open: async (...call: Parameters<typeof open>) => {
        const file = await open(...call);
        const close = file.close.bind(file);
        left += 1;
        file.close = async () => {
          await nextTurn();
          await close();
          left -= 1;
        };
        return file;
      },
    };
    const slow = await FolderStore.open(folder, files);
    await Promise.all([slow.get('x'), slow.get('x', { offset: 0, length: 1 }), slow.get('x', { offset: 0, length: 1 })]);
    expect(left).toBeGreaterThan(0);
    await slow.close();
    expect(left).toBe(0);
  });

  it('does not wait for ever, when it is closed, for a file system that hangs', async () => {
    await store.put('x', Buffer.from('1'));
    let hangs = false;
    let asked = 0;
    const files = {
      ...promises,
      open: async (...call: Parameters<typeof open>) => {
        const file = await open(...call);
        const close = file.close.bind(file);
        file.close = async () => {
          if (!hangs) return close();
          asked += 1;
          await close();
          await new Promise<never>(() => undefined);
        };
        return file;
      },
    };
    const hanging = await FolderStore.open(folder, files);
    hangs = true;
    await hanging.get('x', { offset: 0, length: 1 });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const closing = hanging.close();
      await vi.advanceTimersByTimeAsync(5_000);
      await closing;
    } finally {
      vi.useRealTimers();
    }
    expect(asked).toBe(1);
  });

  it('says that the store is full or read-only, on a real file system', async (context) => {
    const mount = join(folder, 'mount');
    await mkdir(mount);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', mount], { stdio: 'ignore' });
    } catch {
      context.skip();
    }
    try {
      const small = await FolderStore.open(mount);
      await expect(small.put('big', Buffer.alloc(2 << 20, 7))).rejects.toMatchObject({ code: 'REPOSITORY_FULL', message: /no space left/ });
      expect(await small.size('big')).toBeUndefined();
      expect(await readdir(join(mount, '.tmp'))).toEqual([]);
      await small.put('little', Buffer.from('x'));
      execFileSync('mount', ['-o', 'remount,ro', mount], { stdio: 'ignore' });
      await expect(small.put('more', Buffer.from('x'))).rejects.toMatchObject({ code: 'REPOSITORY_READ_ONLY' });
      expect((await small.get('little')).toString()).toBe('x');
      // A file that was read and is not closed yet would keep it busy.
      await small.close();
    } finally {
      execFileSync('umount', [mount], { stdio: 'ignore' });
    }
    // The folder below the mount is still there, and is another file system now.
    const gone = await FolderStore.open(folder);
    expect(await gone.size('mount/little')).toBeUndefined();
  });
});
