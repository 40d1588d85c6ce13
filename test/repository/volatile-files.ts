import { type FileHandle, link, mkdir, open, readdir, rename, stat, statfs, unlink } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { Semaphore } from '../../src/common/index.js';
import type { FolderFiles } from '../../src/repository/stores/folder-calls.js';

type Step =
  | { kind: 'create'; path: string; inode: number }
  | { kind: 'write'; inode: number; data: Buffer }
  | { kind: 'datasync'; inode: number }
  | { kind: 'link'; from: string; to: string }
  | { kind: 'rename'; from: string; to: string }
  | { kind: 'unlink'; path: string }
  | { kind: 'mkdir'; path: string }
  | { kind: 'syncFolder'; path: string }
  | { kind: 'promise'; name: string; data: Buffer | undefined };

type Node = number | { folder: string };

/** What a disk holds after a loss of power: names below the root, with contents. */
export type Survivors = ReadonlyMap<string, Buffer>;

/**
 * A file system that writes down what is asked of it, in order, so that a test can lose power after every single step. It keeps no
 * more than POSIX promises: a file's bytes are on the disk after fdatasync, a name after fsync of its folder.
 */
export class VolatileFiles {
  readonly steps: Step[] = [];
  private readonly turn = new Semaphore(1);
  private inodes = 0;

  constructor(private readonly root: string) {}

  /** What the store said it had done: written these bytes, or deleted (undefined). */
  promised(name: string, data: Buffer | undefined): void {
    this.steps.push({ kind: 'promise', name, data });
  }

  /** For FolderStore. */
  readonly files: FolderFiles = {
    readdir,
    stat,
    statfs,
    link: ((from: string, to: string) =>
      this.recorded({ kind: 'link', from: this.place(from), to: this.place(to) }, () => link(from, to))) as typeof link,
    rename: ((from: string, to: string) =>
      this.recorded({ kind: 'rename', from: this.place(from), to: this.place(to) }, () => rename(from, to))) as typeof rename,
    unlink: ((path: string) => this.recorded({ kind: 'unlink', path: this.place(path) }, () => unlink(path))) as typeof unlink,
    mkdir: ((path: string, options: { recursive?: boolean; mode: number }) => this.made(path, options)) as typeof mkdir,
    open: ((path: string, flags: string | number, mode?: number) => this.opened(path, flags, mode)) as typeof open,
  };

  /** The same disk for a process that gets stuck before it syncs this folder: others pass it between a name and its durability. */
  stuckBefore(folder: string, gate: Promise<void>): FolderFiles {
    const held = (path: string, flags: string | number, mode?: number) =>
      this.opened(path, flags, mode, this.place(path) === folder ? gate : undefined);
    return { ...this.files, open: held as typeof open };
  }

  /**
   * The disk after the first `count` steps. `names`: only those that were synced, or (a system may write back at any time) all.
   * @returns also what had been promised by then.
   */
  after(count: number, names: 'synced' | 'all'): { survivors: Survivors; promised: Map<string, Buffer | undefined> } {
    const live = new Map<string, Map<string, Node>>([['', new Map()]]);
    const synced = new Map<string, Map<string, Node>>([['', new Map()]]);
    const written = new Map<number, Buffer[]>();
    const durable = new Map<number, Buffer>();
    const promised = new Map<string, Buffer | undefined>();
    const folderOf = (path: string) => live.get(parentOf(path)) as Map<string, Node>;
    for (const step of this.steps.slice(0, count)) {
      if (step.kind === 'promise') promised.set(step.name, step.data);
      else if (step.kind === 'create') folderOf(step.path).set(baseOf(step.path), step.inode);
      else if (step.kind === 'write') written.set(step.inode, [...(written.get(step.inode) ?? []), step.data]);
      else if (step.kind === 'datasync') durable.set(step.inode, Buffer.concat(written.get(step.inode) ?? []));
      else if (step.kind === 'unlink') folderOf(step.path).delete(baseOf(step.path));
      else if (step.kind === 'syncFolder') synced.set(step.path, new Map(live.get(step.path)));
      else if (step.kind === 'mkdir') {
        folderOf(step.path).set(baseOf(step.path), { folder: step.path });
        live.set(step.path, new Map());
        synced.set(step.path, new Map());
      } else {
        folderOf(step.to).set(baseOf(step.to), folderOf(step.from).get(baseOf(step.from)) as Node);
        if (step.kind === 'rename') folderOf(step.from).delete(baseOf(step.from));
      }
    }
    const survivors = new Map<string, Buffer>();
    const walk = (folder: string) => {
      for (const [name, node] of (names === 'all' ? live : synced).get(folder) ?? []) {
        if (typeof node !== 'number') walk(node.folder);
        else survivors.set(folder === '' ? name : `${folder}/${name}`, durable.get(node) ?? Buffer.alloc(0));
      }
    };
    walk('');
    return { survivors, promised };
  }

  private async made(path: string, options: { recursive?: boolean; mode: number }): Promise<string | undefined> {
    if (options.recursive && path !== this.root) {
      await this.made(dirname(path), options);
      return this.made(path, { mode: options.mode }).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
        return undefined;
      });
    }
    if (path !== this.root) await this.recorded({ kind: 'mkdir', path: this.place(path) }, () => mkdir(path, { mode: options.mode }));
    return path;
  }

  private async opened(path: string, flags: string | number, mode?: number, gate?: Promise<void>): Promise<FileHandle> {
    if (flags === 'r') {
      const handle = await open(path, flags);
      const place = this.place(path);
      const sync = async () => {
        await gate;
        await this.recorded({ kind: 'syncFolder', path: place }, () => handle.sync());
      };
      return this.spy(handle, { sync });
    }
    this.inodes += 1;
    const inode = this.inodes;
    const handle = await this.recorded({ kind: 'create', path: this.place(path), inode }, () => open(path, flags, mode));
    return this.spy(handle, {
      datasync: () => this.recorded({ kind: 'datasync', inode }, () => handle.datasync()),
      write: (buffer: Buffer, offset: number, length: number) =>
        this.recorded({ kind: 'write', inode, data: Buffer.from(buffer.subarray(offset, offset + length)) }, () =>
          handle.write(buffer, offset, length),
        ),
    });
  }

  private spy(handle: FileHandle, changed: Record<string, unknown>): FileHandle {
    return new Proxy(handle, {
      get: (target, property) => {
        const own = changed[property as string];
        if (own !== undefined) return own;
        const value: unknown = Reflect.get(target, property);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  /** One at a time, so that the order written down is the order in which it happened. What failed did not happen. */
  private recorded<T>(step: Step, work: () => Promise<T>): Promise<T> {
    return this.turn.run(async () => {
      const result = await work();
      this.steps.push(step);
      return result;
    });
  }

  private place(path: string): string {
    return relative(this.root, path);
  }
}

function parentOf(path: string): string {
  const folder = dirname(path);
  return folder === '.' ? '' : folder;
}

function baseOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
