import { statfs } from 'node:fs/promises';
import { withTimeout } from '../common/index.js';
import type { VaultConfig } from '../config/index.js';

/** A share that answers at all answers in milliseconds. */
const ANSWER_TIMEOUT_MS = 5_000;

export interface Space {
  freeBytes: number;
  sizeBytes: number;
}

/** The room of a folder repository. Only a folder has an end; a bucket's is its owner's bill. */
export class RepositorySpace {
  private asking: Promise<Space> | undefined;

  /** @param ask replaced in tests alone. */
  constructor(
    private readonly repository: VaultConfig['repository'],
    private readonly ask: (path: string) => Promise<{ bavail: number; blocks: number; bsize: number }> = statfs,
  ) {}

  /**
   * One question at a time: on a share that hangs each takes one of the process's few threads for files until it answers.
   * @returns undefined where nobody can tell.
   * @throws TimeoutError; what the file system says.
   */
  async read(signal?: AbortSignal): Promise<Space | undefined> {
    const { repository } = this;
    if (repository.kind !== 'folder') return undefined;
    return await withTimeout(`Asking for the free space of ${repository.path}`, ANSWER_TIMEOUT_MS, signal, () => {
      this.asking ??= this.question(repository.path).finally(() => {
        this.asking = undefined;
      });
      return this.asking;
    });
  }

  private async question(path: string): Promise<Space> {
    const { bavail, blocks, bsize } = await this.ask(path);
    return { freeBytes: bavail * bsize, sizeBytes: blocks * bsize };
  }
}
