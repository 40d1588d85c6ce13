import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, open, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describeError } from '../common/index.js';
import { MasterKeyError } from './errors.js';

export const MASTER_KEY_BYTES = 32;
/** A KMS answers in seconds, or somebody should look. */
const COMMAND_TIMEOUT_MS = 30_000;

export interface MasterKeySource {
  path: string;
  makeIfMissing: boolean;
  /** Instead of the file: what a shell runs, and whose standard output is the key. This is how a KMS serves. */
  command?: string | undefined;
  /** Instead of the file: the key itself, in base64. */
  text?: string | undefined;
}

/**
 * Reads the master key: 32 bytes, base64, in a file only its owner may read, or from a command or the environment. Every key of this
 * service (stored passwords, the organizations' repository keys) is wrapped by it.
 * @returns the key; the caller must not log it.
 * @throws MasterKeyError when the file is missing (and may not be made), open to others, or not a key.
 */
export async function openMasterKey(options: MasterKeySource): Promise<Buffer> {
  const { path, command, text } = options;
  if (text !== undefined && command !== undefined)
    throw new MasterKeyError(
      'The master key is given twice, in VAPP_VAULT_MASTER_KEY and by VAPP_VAULT_MASTER_KEY_COMMAND; leave one out.',
      path,
    );
  if (text !== undefined) return decodeKey(text, 'The master key in VAPP_VAULT_MASTER_KEY', path);
  if (command !== undefined) return keyFromCommand(command);
  const existing = await readKey(path);
  if (existing !== undefined) return existing;
  if (!options.makeIfMissing) {
    throw new MasterKeyError(
      `The master key file ${path} does not exist; put the key there, or make a new one with: (umask 077; openssl rand -base64 32 > ${path})`,
      path,
    );
  }
  await makeKey(path);
  const made = await readKey(path);
  if (made === undefined) throw new MasterKeyError(`The master key file ${path} vanished right after it was made.`, path);
  return made;
}

async function readKey(path: string): Promise<Buffer | undefined> {
  let text: string;
  try {
    const handle = await open(path, 'r');
    try {
      const { mode } = await handle.stat();
      if ((mode & 0o077) !== 0) {
        throw new MasterKeyError(`The master key file ${path} can be read by others than its owner; run: chmod 600 ${path}`, path);
      }
      text = await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    if (error instanceof MasterKeyError) throw error;
    throw new MasterKeyError(`The master key file ${path} cannot be read: ${describeError(error)}.`, path, error);
  }
  return decodeKey(text, `The master key file ${path}`, path);
}

function decodeKey(text: string, what: string, subject: string): Buffer {
  const trimmed = text.trim();
  const key = Buffer.from(trimmed, 'base64');
  if (key.length !== MASTER_KEY_BYTES || key.toString('base64') !== trimmed) {
    throw new MasterKeyError(`${what} does not hold ${MASTER_KEY_BYTES} bytes in base64.`, subject);
  }
  return key;
}

/** Neither the command's output nor its complaints are repeated: both may hold secrets. */
async function keyFromCommand(command: string): Promise<Buffer> {
  const what = 'The command of VAPP_VAULT_MASTER_KEY_COMMAND';
  const output = await new Promise<string>((resolve, reject) => {
    execFile('/bin/sh', ['-c', command], { timeout: COMMAND_TIMEOUT_MS, maxBuffer: 4096, encoding: 'utf8' }, (error, stdout) => {
      if (!error) return resolve(stdout);
      const reason = error.killed
        ? `did not end within ${COMMAND_TIMEOUT_MS / 1000} s, or said too much`
        : `failed with code ${error.code}`;
      reject(new MasterKeyError(`${what} ${reason}; run it by hand to see why.`, 'VAPP_VAULT_MASTER_KEY_COMMAND'));
    });
  });
  return decodeKey(output, `The output of ${what.charAt(0).toLowerCase()}${what.slice(1)}`, 'VAPP_VAULT_MASTER_KEY_COMMAND');
}

/**
 * The key's own folder is its owner's alone. The data folder above it, when it is made here, lets
 * others pass (not look): the embedded PostgreSQL may run as another user and lies beside the keys.
 */
async function makeFolders(folder: string): Promise<void> {
  const parent = dirname(folder);
  const first = await mkdir(parent, { recursive: true });
  for (let made = parent; first !== undefined && made.length >= first.length; made = dirname(made)) await chmod(made, 0o711);
  await mkdir(folder, { recursive: true, mode: 0o700 });
}

/** Whole or not at all, and never over another's: two services may start at the same moment. */
async function makeKey(path: string): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.new`;
  try {
    await makeFolders(dirname(path));
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(`${randomBytes(MASTER_KEY_BYTES).toString('base64')}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    try {
      await link(temporary, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      await unlink(temporary);
    }
    const folder = await open(dirname(path), 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (error) {
    throw new MasterKeyError(`The master key file ${path} cannot be made: ${describeError(error)}.`, path, error);
  }
}
