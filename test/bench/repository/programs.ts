import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../simulator-process.js';
import { bytesIn, filesIn } from './files.js';
import { type ImageSet, makeEmptyDisk } from './images.js';
import { type IndexOnDisk, indexOnDisk } from './index-cost.js';

const TIMEOUT_MS = 30 * 60_000;

export interface Cost {
  wallSeconds: number;
  cpuSeconds: number;
  /** Before wallSeconds began: what a service has behind it when a run begins. 0 where the whole process is measured. */
  startSeconds: number;
  /** Of all processes together (measured.py). */
  peakBytes: number;
}

/** What every program is asked to do with the same two images. */
export interface Program {
  /** With its version, for the table. */
  readonly name: string;
  /** Makes an empty repository and stores the first generation. */
  full(): Cost;
  /** Stores the second generation after the first. */
  incremental(): Cost;
  /** Restores the second generation into a file of its own. */
  restore(): Cost;
  /** Reads and checks all data. */
  verify(): Cost;
  repositoryBytes(): number;
  /** Reads the repository, so that no program pays for the disk. */
  warm(): void;
  /** Of what is restored, to be compared. */
  readonly restoredFile: string;
}

export interface Place {
  images: ImageSet;
  /** The program's own. */
  folder: string;
}

/** @throws Error with the program's last words when it fails. */
function measure(command: readonly string[], env: Record<string, string>): Cost & { output: string } {
  const script = join(repositoryRoot(), 'test/bench/repository/measured.py');
  const { status, stderr, stdout, output } = spawnSync('python3', [script, ...command], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    timeout: TIMEOUT_MS,
    maxBuffer: 64 * 1024 * 1024,
    encoding: 'utf8',
  });
  if (status !== 0)
    throw new Error(`${command.join(' ')} failed (${status}): ${`${stderr}${stdout}`.trim().split('\n').slice(-5).join('\n')}`);
  return { ...(JSON.parse(String(output[3])) as Cost), output: stdout };
}

/** Reads what is about to be read, so that no program pays for the disk. */
export function warm(path: string): void {
  for (const file of filesIn(path)) execFileSync('cat', [file], { stdio: ['ignore', 'ignore', 'inherit'] });
}

function freshFolder(folder: string): string {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

export interface OurOptions {
  chunkBytes?: number;
  cores: number;
}

/** Ours: VDDK's stand-in, vddk-host, addon, and a repository in a folder. */
export class VappVault implements Program {
  readonly name = 'vApp Vault';
  readonly restoredFile: string;
  private readonly repository: string;

  constructor(
    private readonly place: Place,
    private readonly options: OurOptions,
  ) {
    this.repository = join(place.folder, 'repository');
    this.restoredFile = join(place.folder, 'restored.img');
  }

  full(): Cost {
    freshFolder(this.place.folder);
    return this.run('full', '--disk', this.place.images.firstDisk);
  }

  incremental(): Cost {
    const { secondDisk, changed } = this.place.images;
    return this.run('incremental', '--disk', secondDisk, '--changed', changed);
  }

  /** The second generation without change tracking, in a copy of the repository as it is. */
  fullAgain(): Cost {
    const copy = join(this.place.folder, 'copy');
    // By hard links: objects are written once and never changed.
    execFileSync('cp', ['-al', this.repository, copy]);
    try {
      return this.run('full', '--disk', this.place.images.secondDisk, '--repository', copy);
    } finally {
      rmSync(copy, { recursive: true, force: true });
    }
  }

  restore(): Cost {
    return this.run('restore', '--disk', makeEmptyDisk(this.restoredFile, this.place.images.sizeBytes));
  }

  verify(): Cost {
    return this.run('verify');
  }

  repositoryBytes(): number {
    return bytesIn(this.repository);
  }

  warm(): void {
    warm(this.repository);
  }

  index(): IndexOnDisk {
    return indexOnDisk(this.repository);
  }

  /** @returns seconds of all stages of a full backup, one after the other on one thread: the work that must be done. */
  stages(): number {
    const { output } = this.run('stages', '--disk', this.place.images.first);
    return (JSON.parse(output) as { totalSeconds: number }).totalSeconds;
  }

  private run(...args: string[]): Cost & { output: string } {
    const { chunkBytes, cores } = this.options;
    const script = join(import.meta.dirname, 'data-path.js');
    const grid = chunkBytes === undefined ? [] : ['--chunk-bytes', String(chunkBytes)];
    const common = ['--repository', this.repository, '--cores', String(cores), ...grid];
    return measure(['--from-ready', process.execPath, script, ...common, ...args], {});
  }
}

/** Debian's or newer: `restic init` and `restic backup`, `restore`, `check --read-data`, with its own defaults. */
export class Restic implements Program {
  readonly restoredFile: string;
  private readonly repository: string;
  private readonly image: string;

  constructor(
    private readonly place: Place,
    readonly name: string,
  ) {
    this.repository = join(place.folder, 'repository');
    this.image = join(place.folder, 'disk.img');
    this.restoredFile = join(place.folder, 'restored', this.image);
  }

  full(): Cost {
    freshFolder(this.place.folder);
    this.offer(this.place.images.first);
    return this.run('sh', '-c', 'restic init && restic backup "$0"', this.image);
  }

  incremental(): Cost {
    this.offer(this.place.images.second);
    return this.run('restic', 'backup', this.image);
  }

  restore(): Cost {
    const target = freshFolder(join(this.place.folder, 'restored'));
    return this.run('restic', 'restore', 'latest', '--target', target);
  }

  verify(): Cost {
    return this.run('restic', 'check', '--read-data');
  }

  repositoryBytes(): number {
    return bytesIn(this.repository);
  }

  warm(): void {
    warm(this.repository);
  }

  /** Under one name, as a disk that changed in place. */
  private offer(image: string): void {
    rmSync(this.image, { force: true });
    execFileSync('ln', [image, this.image]);
  }

  private run(...command: string[]): Cost {
    return measure(command, {
      RESTIC_REPOSITORY: this.repository,
      RESTIC_PASSWORD: 'bench',
      RESTIC_CACHE_DIR: join(this.place.folder, 'cache'),
    });
  }
}

/** Its fastest way with disk images: chunks of a fixed MiB, zstd level 1, encryption by BLAKE2b and AES. */
export class Borg implements Program {
  readonly restoredFile: string;
  private readonly repository: string;

  constructor(
    private readonly place: Place,
    readonly name: string,
  ) {
    this.repository = join(place.folder, 'repository');
    this.restoredFile = join(place.folder, 'restored', 'disk.img');
  }

  full(): Cost {
    freshFolder(this.place.folder);
    const create = this.create(this.place.images.first, 'first');
    return this.run('sh', '-c', `borg init -e repokey-blake2 && ${create}`);
  }

  incremental(): Cost {
    return this.run('sh', '-c', this.create(this.place.images.second, 'second'));
  }

  restore(): Cost {
    const target = freshFolder(join(this.place.folder, 'restored'));
    return this.run('sh', '-c', 'cd "$0" && borg extract --sparse ::second', target);
  }

  verify(): Cost {
    return this.run('borg', 'check', '--verify-data');
  }

  repositoryBytes(): number {
    return bytesIn(this.repository);
  }

  warm(): void {
    warm(this.repository);
  }

  private create(image: string, archive: string): string {
    return `borg create -C zstd,1 --chunker-params fixed,1048576 --stdin-name disk.img ::${archive} - <'${image}'`;
  }

  private run(...command: string[]): Cost {
    return measure(command, {
      BORG_REPO: this.repository,
      BORG_PASSPHRASE: 'bench',
      BORG_BASE_DIR: join(this.place.folder, 'base'),
      BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
    });
  }
}

/** What the program says of its version; undefined where it is not installed. */
export function versionOf(program: 'restic' | 'borg'): string | undefined {
  const { status, stdout } = spawnSync(program, [program === 'restic' ? 'version' : '--version'], { encoding: 'utf8' });
  if (status !== 0) return undefined;
  return stdout.trim().split(' ').slice(0, 2).join(' ');
}
