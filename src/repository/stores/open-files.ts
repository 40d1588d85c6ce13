import { withTimeout } from '../../common/index.js';
import type { FolderCalls, FolderFile } from './folder-calls.js';

const CLOSE_TIMEOUT_MS = 5_000;

/** Open as long as it has readers. */
interface OpenFile {
  opening: Promise<FolderFile>;
  readers: number;
}

/**
 * Files that are open for reading. What is read side by side in one file is read through one descriptor: of what a scattered record of
 * a pack cost the event loop, two thirds were its own open and close (docs/decisions/0014).
 */
export class OpenFiles {
  private readonly shared = new Map<string, OpenFile>();
  private readonly closing = new Set<Promise<void>>();

  constructor(private readonly files: FolderCalls) {}

  /** Through the descriptor of those that read the same file now. */
  readTogether<T>(path: string, read: (file: FolderFile) => Promise<T>): Promise<T> {
    let file = this.shared.get(path);
    if (file) {
      file.readers += 1;
    } else {
      file = this.open(path);
      this.shared.set(path, file);
    }
    return this.readOnce(path, file, read);
  }

  /** What it is at this moment. */
  readAlone<T>(path: string, read: (file: FolderFile) => Promise<T>): Promise<T> {
    return this.readOnce(path, this.open(path), read);
  }

  /** The name means another file now, or none: who comes next does not join those that read the old one. */
  forget(path: string): void {
    this.shared.delete(path);
  }

  /**
   * Until nothing is open any more of what was read: a descriptor keeps its file system busy, so that it could not be unmounted. Whoever
   * stops does not wait longer than a moment for a file system that hangs.
   */
  async closed(): Promise<void> {
    await withTimeout('Closing files', CLOSE_TIMEOUT_MS, undefined, () => Promise.all(this.closing)).catch(() => undefined);
  }

  private open(path: string): OpenFile {
    return { opening: this.files.open(path, 'r'), readers: 1 };
  }

  private async readOnce<T>(path: string, file: OpenFile, read: (file: FolderFile) => Promise<T>): Promise<T> {
    try {
      return await read(await file.opening);
    } finally {
      file.readers -= 1;
      if (file.readers === 0) {
        if (this.shared.get(path) === file) this.shared.delete(path);
        // Not waited for here: who has read has nothing more to ask of the file.
        const closed: Promise<void> = file.opening
          .then((handle) => handle.close())
          .catch(() => undefined)
          .finally(() => this.closing.delete(closed));
        this.closing.add(closed);
      }
    }
  }
}
