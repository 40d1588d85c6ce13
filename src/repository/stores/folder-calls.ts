import type { Dirent, Stats, StatsFs } from 'node:fs';
import { type FileHandle, link, mkdir, open, readdir, rename, stat, statfs, unlink } from 'node:fs/promises';
import { abortReason } from '../../common/index.js';
import { UnansweredCall } from './folder-errors.js';

/** What the store asks of a file system. */
export interface FolderFiles {
  link: typeof link;
  mkdir: typeof mkdir;
  open: typeof open;
  readdir: typeof readdir;
  rename: typeof rename;
  stat: typeof stat;
  statfs: typeof statfs;
  unlink: typeof unlink;
}

export const SYSTEM_FILES: FolderFiles = { link, mkdir, open, readdir, rename, stat, statfs, unlink };

/** How long one call may take before the folder hangs, and how many wait for it at once. */
export interface CallLimits {
  answerMs: number;
  /** For making durable, which may have to wait for what others have written. */
  syncMs: number;
  /** What a call moves makes its time longer by this. */
  leastBytesPerSecond: number;
  callsAtOnce: number;
}

/**
 * Slow is not hung. Linux tries a command of a disk six times for 30 s each (SCSI) and asks a server of NFS again after 60 and after
 * 180 s, and such a server keeps everybody waiting for 90 s after its restart. The rate is that of a line of 10 Mbit/s that goes for
 * five packs.
 */
export const CALL_LIMITS: CallLimits = {
  answerMs: 180_000,
  syncMs: 300_000,
  leastBytesPerSecond: 256 * 1024,
  callsAtOnce: callsAtOnce(Number(process.env.UV_THREADPOOL_SIZE ?? 4)),
};

/**
 * A call that is not answered keeps one of the threads that resolve names and read all other files of the process, too: of libuv's four
 * one stays free of a folder that hangs, and of more than eight a quarter stays free of two.
 */
export function callsAtOnce(threads: number): number {
  return Math.max(1, Math.min(threads - 1, Math.max(3, Math.floor((threads * 3) / 8)))) || 3;
}

/** The calls of one folder that should have been answered. By its name: who opens it anew asks the same disk or server. */
class OverdueCalls {
  private static readonly folders = new Map<string, OverdueCalls>();
  private calls = 0;
  private readonly postponed: (() => void)[] = [];

  static of(root: string): OverdueCalls {
    const known = OverdueCalls.folders.get(root) ?? new OverdueCalls();
    OverdueCalls.folders.set(root, known);
    return known;
  }

  get areThere(): boolean {
    return this.calls > 0;
  }

  add(): void {
    this.calls += 1;
  }

  settle(): void {
    this.calls -= 1;
    if (this.calls > 0) return;
    for (const work of this.postponed.splice(0)) work();
  }

  /** Called when the last one is settled, which may have been a moment ago. */
  postpone(work: () => void): void {
    if (this.areThere) this.postponed.push(work);
    else work();
  }
}

/** A call whose turn has not come. */
interface WaitingCall {
  begin: () => void;
  refuse: () => void;
}

interface AskOptions<T> {
  /** Of who asks: after it the call is not begun any more. */
  signal?: AbortSignal | undefined;
  /** What becomes of an answer that comes after its time. */
  late?: (answer: T) => void;
}

/**
 * The file system of a folder, whose calls cannot be taken back: on a mount whose server is gone, or a disk that hangs, they are answered
 * at some time or never. Nobody waits for one longer than its limit, and from then until it is settled after all no other one is begun.
 */
export class FolderCalls {
  private readonly overdue: OverdueCalls;
  private readonly waiting: WaitingCall[] = [];
  private underWay = 0;

  constructor(
    root: string,
    private readonly files: FolderFiles,
    readonly limits: CallLimits,
  ) {
    this.overdue = OverdueCalls.of(root);
  }

  /** @param signal of who asks for it, as below: what is seen by others is not begun any more after it. */
  link(from: string, to: string, signal?: AbortSignal): Promise<void> {
    return this.ask(this.limits.answerMs, () => this.files.link(from, to), { signal });
  }

  mkdir(path: string, options: { mode: number; recursive?: boolean }): Promise<unknown> {
    return this.ask(this.limits.answerMs, () => this.files.mkdir(path, options));
  }

  async open(path: string, flags: string | number, mode?: number): Promise<FolderFile> {
    const late = (handle: FileHandle) => void handle.close().catch(() => undefined);
    return new FolderFile(this, await this.ask(this.limits.answerMs, () => this.files.open(path, flags, mode), { late }));
  }

  readdir(path: string): Promise<Dirent[]> {
    return this.ask(this.limits.answerMs, () => this.files.readdir(path, { withFileTypes: true }));
  }

  rename(from: string, to: string, signal?: AbortSignal): Promise<void> {
    return this.ask(this.limits.answerMs, () => this.files.rename(from, to), { signal });
  }

  stat(path: string): Promise<Stats> {
    return this.ask(this.limits.answerMs, () => this.files.stat(path));
  }

  statfs(path: string): Promise<StatsFs> {
    return this.ask(this.limits.answerMs, () => this.files.statfs(path));
  }

  unlink(path: string, signal?: AbortSignal): Promise<void> {
    return this.ask(this.limits.answerMs, () => this.files.unlink(path), { signal });
  }

  /** Now, or when the folder answers again. */
  discard(path: string): Promise<void> {
    return this.soonerOrLater(() => this.files.unlink(path));
  }

  /** What cannot be done while the folder hangs is done when it answers again, and nobody waits for that. */
  async soonerOrLater(call: () => Promise<unknown>): Promise<void> {
    try {
      await this.ask(this.limits.answerMs, call);
    } catch (error) {
      if (!(error instanceof UnansweredCall) || error.begun) throw error;
      this.overdue.postpone(() => void this.soonerOrLater(call).catch(() => undefined));
    }
  }

  /**
   * One promise for all of it: reading a scattered record is little more than this.
   * @throws UnansweredCall; what the file system answers.
   */
  ask<T>(limitMs: number, call: () => Promise<T>, options: AskOptions<T> = {}): Promise<T> {
    return new Promise((resolve, reject) => {
      const refuse = () => reject(new UnansweredCall('the file system still owes the answer to an earlier call', false));
      const begin = () => {
        if (this.overdue.areThere) refuse();
        else if (options.signal?.aborted) reject(abortReason(options.signal));
        else this.begin(limitMs, call, { resolve, reject, late: options.late });
      };
      if (this.underWay < this.limits.callsAtOnce) begin();
      else this.waiting.push({ begin, refuse });
    });
  }

  private begin<T>(
    limitMs: number,
    call: () => Promise<T>,
    { resolve, reject, late }: { resolve: (answer: T) => void; reject: (error: unknown) => void; late: ((answer: T) => void) | undefined },
  ): void {
    this.underWay += 1;
    let isOverdue = false;
    const timer = setTimeout(() => {
      isOverdue = true;
      this.overdue.add();
      reject(new UnansweredCall(`the file system did not answer within ${Math.round(limitMs / 1000)} s`, true));
      for (const { refuse } of this.waiting.splice(0)) refuse();
    }, limitMs);
    const settle = () => {
      clearTimeout(timer);
      this.underWay -= 1;
      if (isOverdue) this.overdue.settle();
      this.next();
    };
    call().then(
      (answer) => {
        if (isOverdue) late?.(answer);
        settle();
        resolve(answer);
      },
      (error: unknown) => {
        settle();
        reject(error);
      },
    );
  }

  private next(): void {
    while (this.waiting.length > 0 && this.underWay < this.limits.callsAtOnce) this.waiting.shift()?.begin();
  }
}

/** An open file, with the same limits. */
export class FolderFile {
  private unsettled = 0;
  private isToBeClosed = false;

  constructor(
    private readonly calls: FolderCalls,
    private readonly handle: FileHandle,
  ) {}

  stat(): Promise<Stats> {
    return this.ask(this.calls.limits.answerMs, () => this.handle.stat());
  }

  read(into: Buffer, offset: number, length: number, position: number): Promise<{ bytesRead: number }> {
    return this.ask(this.calls.limits.answerMs + this.movingMs(length), () => this.handle.read(into, offset, length, position));
  }

  write(data: Buffer, offset: number, length: number, position: number): Promise<{ bytesWritten: number }> {
    return this.ask(this.calls.limits.answerMs + this.movingMs(length), () => this.handle.write(data, offset, length, position));
  }

  /** @param writtenBytes what may have to go to the disk now. */
  datasync(writtenBytes: number): Promise<void> {
    return this.ask(this.calls.limits.syncMs + this.movingMs(writtenBytes), () => this.handle.datasync());
  }

  sync(): Promise<void> {
    return this.ask(this.calls.limits.syncMs, () => this.handle.sync());
  }

  /** Where a call is still to be settled, after it, without waiting: its descriptor would be that of another file. */
  async close(): Promise<void> {
    if (this.unsettled > 0) this.isToBeClosed = true;
    else await this.calls.soonerOrLater(() => this.handle.close());
  }

  private movingMs(bytes: number): number {
    return Math.ceil(bytes / this.calls.limits.leastBytesPerSecond) * 1000;
  }

  private ask<T>(limitMs: number, call: () => Promise<T>): Promise<T> {
    return this.calls.ask(limitMs, () => {
      this.unsettled += 1;
      const answer = call();
      answer.then(this.settle, this.settle);
      return answer;
    });
  }

  private readonly settle = () => {
    this.unsettled -= 1;
    if (this.isToBeClosed && this.unsettled === 0) void this.calls.soonerOrLater(() => this.handle.close()).catch(() => undefined);
  };
}
