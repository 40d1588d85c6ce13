import { statfs } from 'node:fs/promises';
import { withTimeout } from '../common/index.js';
import type { VaultConfig } from '../config/index.js';
import type { Site } from '../repository/index.js';

/** A share that answers at all answers in milliseconds. */
const ANSWER_TIMEOUT_MS = 5_000;

export interface Space {
  freeBytes: number;
  sizeBytes: number;
}

/** The room of a site that is a folder. Only a folder has an end; a bucket's is its owner's bill. */
export class RepositorySpace {
  private readonly asking = new Map<Site, Promise<Space>>();

  /** @param ask replaced in tests alone. */
  constructor(
    private readonly repository: VaultConfig['repository'],
    private readonly ask: (path: string) => Promise<{ bavail: number; blocks: number; bsize: number }> = statfs,
  ) {}

  /**
   * One question at a time: on a share that hangs each takes one of the process's few threads for files until it answers.
   * @returns undefined where nobody can tell, and where there is no such site.
   * @throws TimeoutError; what the file system says.
   */
  async read(site: Site, signal?: AbortSignal): Promise<Space | undefined> {
    const place = site === 'first' ? this.repository : this.repository.secondSite;
    if (place.kind !== 'folder') return undefined;
    return await withTimeout(`Asking for the free space of ${place.path}`, ANSWER_TIMEOUT_MS, signal, () => {
      const asked = this.asking.get(site) ?? this.question(place.path).finally(() => this.asking.delete(site));
      this.asking.set(site, asked);
      return asked;
    });
  }

  private async question(path: string): Promise<Space> {
    const { bavail, blocks, bsize } = await this.ask(path);
    return { freeBytes: bavail * bsize, sizeBytes: blocks * bsize };
  }
}
