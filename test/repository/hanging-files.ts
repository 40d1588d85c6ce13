import { type FileHandle, link, mkdir, open, readdir, rename, stat, statfs, unlink } from 'node:fs/promises';
import type { FolderFiles } from '../../src/repository/stores/folder-calls.js';

/** A call that is not answered, as of a server that went away: it is carried out when it is released. */
export interface HeldCall {
  kind: string;
  path: string;
  release: () => void;
}

/** A file system on which calls hang by order, and on which everything is counted. */
export class HangingFiles {
  /** Asked of each call, before it reaches the disk. */
  hangs: (kind: string, path: string) => boolean = () => false;
  /** Those that hang now. */
  readonly held = new Set<HeldCall>();
  /** Kind and path of each that began. */
  readonly begun: [string, string][] = [];
  openHandles = 0;
  private onHeld: (() => void)[] = [];

  readonly files: FolderFiles = {
    link: ((from: string, to: string) => this.pass('link', to, () => link(from, to))) as typeof link,
    mkdir: ((path: string, options: { mode: number }) => this.pass('mkdir', path, () => mkdir(path, options))) as typeof mkdir,
    readdir: ((path: string) => this.pass('readdir', path, () => readdir(path, { withFileTypes: true }))) as unknown as typeof readdir,
    rename: ((from: string, to: string) => this.pass('rename', to, () => rename(from, to))) as typeof rename,
    stat: ((path: string) => this.pass('stat', path, () => stat(path))) as typeof stat,
    statfs: ((path: string) => this.pass('statfs', path, () => statfs(path))) as typeof statfs,
    unlink: ((path: string) => this.pass('unlink', path, () => unlink(path))) as typeof unlink,
    open: ((path: string, flags: string | number, mode?: number) => this.opened(path, flags, mode)) as typeof open,
  };

  /** Resolves when so many hang. */
  async hanging(calls = 1): Promise<void> {
    while (this.held.size < calls) await new Promise<void>((resolve) => this.onHeld.push(resolve));
  }

  /** From now on everything is answered, and so is what hung. */
  recover(): void {
    this.hangs = () => false;
    for (const call of [...this.held]) call.release();
  }

  private async pass<T>(kind: string, path: string, call: () => Promise<T>): Promise<T> {
    this.begun.push([kind, path]);
    if (this.hangs(kind, path)) {
      await new Promise<void>((resolve) => {
        const held = { kind, path, release: () => void (this.held.delete(held) && resolve()) };
        this.held.add(held);
        for (const wake of this.onHeld.splice(0)) wake();
      });
    }
    return call();
  }

  private async opened(path: string, flags: string | number, mode?: number): Promise<FileHandle> {
    const handle = await this.pass('open', path, () => open(path, flags, mode));
    this.openHandles += 1;
    return new Proxy(handle, {
      get: (target, property: string) => {
        const value: unknown = Reflect.get(target, property);
        if (typeof value !== 'function') return value;
        if (property === 'close') {
          return () =>
            this.pass('close', path, async () => {
              await target.close();
              this.openHandles -= 1;
            });
        }
        return (...args: unknown[]) => this.pass(property, path, () => value.apply(target, args));
      },
    });
  }
}
