import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { normalizeExtents, type Extent } from '../../../src/disk/index.js';
import { seededBytes, seededText } from './random-bytes.js';

const run = promisify(execFile);
const FILE_BYTES = 8 * 1024 * 1024;
/** Where Debian and Alpine keep them, which an ordinary user's PATH may not name. */
const environment = {
  ...process.env,
  PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin:/usr/local/sbin`,
  LC_ALL: 'C',
  E2FSPROGS_FAKE_TIME: '1767225600',
};

const found = new Map<string, Promise<boolean>>();

/** Whether a tool of e2fsprogs is on this machine. */
export function hasTool(name: 'mke2fs' | 'debugfs' | 'e2fsck'): Promise<boolean> {
  let answer = found.get(name);
  if (!answer) {
    answer = run(name, ['-V'], { env: environment }).then(
      () => true,
      // A number is the exit code of a tool that ran; ENOENT or EACCES is one that cannot.
      (error: { code?: unknown }) => typeof error.code === 'number',
    );
    found.set(name, answer);
  }
  return answer;
}

/** The superblock's magic number, at 1024 + 56. */
export function looksLikeExt4(firstBytes: Buffer): boolean {
  return firstBytes.length >= 1082 && firstBytes.readUInt16LE(1080) === 0xef53;
}

/**
 * Formats an image file with an ext4 that holds about `dataBytes` of files: a quarter text, the rest
 * incompressible, so that compression, deduplication and zero detection all meet their case.
 */
export async function formatExt4(imagePath: string, options: { seed: string; dataBytes: number; label: string }): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'sim-files-'));
  try {
    await mkdir(join(folder, 'data'));
    await mkdir(join(folder, 'log'));
    await writeFile(join(folder, 'hostname'), `${options.label}\n`);
    let left = options.dataBytes;
    for (let index = 0; left > 0; index += 1) {
      const length = Math.min(FILE_BYTES, left);
      const text = index % 4 === 3;
      const seed = `${options.seed}/${index}`;
      const name = text ? `log/app-${index}.log` : `data/blob-${index}.bin`;
      await writeFile(join(folder, name), text ? seededText(seed, length) : seededBytes(seed, length));
      left -= length;
    }
    const uuid = seededBytes(`${options.seed}/uuid`, 16)
      .toString('hex')
      .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    const args = [
      '-t',
      'ext4',
      '-F',
      '-q',
      '-b',
      '4096',
      '-L',
      options.label.slice(0, 16),
      '-U',
      uuid,
      '-E',
      `hash_seed=${uuid},root_owner=0:0`,
      '-d',
      folder,
      imagePath,
    ];
    await run('mke2fs', args, { env: environment });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export interface Ext4File {
  path: string;
  sizeBytes: number;
}

/** Regular files of the folders /data, /log and the root. */
export async function listFiles(imagePath: string): Promise<Ext4File[]> {
  const files: Ext4File[] = [];
  for (const folder of ['/', '/data', '/log']) {
    const { stdout } = await debugfs(imagePath, `ls -p ${folder}`, false);
    for (const line of stdout.split('\n')) {
      // /inode/mode/uid/gid/name/size/
      const [, , mode = '', , , name = '', size = ''] = line.split('/');
      if (mode.startsWith('100')) files.push({ path: `${folder === '/' ? '' : folder}/${name}`, sizeBytes: Number(size) });
    }
  }
  return files;
}

/** Where a file's data lie in the image. */
export async function fileExtents(imagePath: string, path: string): Promise<Extent[]> {
  const { stdout } = await debugfs(imagePath, `blocks ${path}`, false);
  const blocks = stdout
    .trim()
    .split(/\s+/)
    .map(Number)
    .filter((block) => Number.isInteger(block) && block > 0);
  return normalizeExtents(blocks.map((block) => ({ offsetBytes: block * 4096, lengthBytes: 4096 })));
}

export async function addFile(imagePath: string, sourcePath: string, path: string): Promise<void> {
  const { stderr } = await debugfs(imagePath, `write ${sourcePath} ${path}`, true);
  if (/Could not allocate|No space|write:/i.test(stderr.replace(/^debugfs .*$/m, '')))
    throw new Error(`The guest could not write ${path}: ${stderr.trim()}`);
}

export async function removeFile(imagePath: string, path: string): Promise<void> {
  await debugfs(imagePath, `rm ${path}`, true);
}

function debugfs(imagePath: string, command: string, writing: boolean): Promise<{ stdout: string; stderr: string }> {
  return run('debugfs', [...(writing ? ['-w'] : []), '-R', command, imagePath], { env: environment, maxBuffer: 64 * 1024 * 1024 });
}

/** `e2fsck -fn`: reads only. Exit code 0 is a clean file system. */
export async function checkExt4(imagePath: string): Promise<{ clean: boolean; output: string }> {
  try {
    const { stdout } = await run('e2fsck', ['-fn', imagePath], { env: environment });
    return { clean: true, output: stdout };
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    return { clean: false, output: `${stdout}${stderr}` };
  }
}
