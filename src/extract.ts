/**
 * vapp-vault-extract: the escape hatch. Lists and restores disks from a repository folder and a key, with
 * neither service nor database, and changes nothing in the repository.
 */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { describeError, silentLogger } from './common/index.js';
import { openMasterKey } from './config/index.js';
import { extractDisk, type ManifestRef, ReadOnlyStore, recoverMasterKey, Repository } from './repository/index.js';
import { explain, openExisting, UsageError } from './repository-tools.js';

const USAGE = `usage:
  vapp-vault-extract list   --repository FOLDER KEY
  vapp-vault-extract verify --repository FOLDER KEY
  vapp-vault-extract disk   --repository FOLDER KEY --restore-point ID --disk ID --output FILE [--keep-going]

KEY is one of
  --key-file FILE            the master key, as the service has it
  --recovery-key-file FILE   the recovery key, as "keys recovery" printed it

list    restore points and their disks, one line of JSON each
verify  reads everything; one line of JSON for each damage
disk    writes the disk as a raw, sparse image; with --keep-going damaged parts become zeros and are listed

Ends with 0, with 1 when it could not do it, with 3 when there is damage.
`;

const DAMAGED = 3;

interface Arguments {
  repository: string;
  'key-file'?: string;
  'recovery-key-file'?: string;
  'restore-point'?: string;
  disk?: string;
  output?: string;
  'keep-going'?: boolean;
}

/** @returns the exit code. */
export async function extract(argv: readonly string[], say: (line: string) => void, complain: (line: string) => void): Promise<number> {
  try {
    const string = { type: 'string' } as const;
    const options = {
      repository: string,
      'key-file': string,
      'recovery-key-file': string,
      'restore-point': string,
      disk: string,
      output: string,
    };
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { ...options, 'keep-going': { type: 'boolean' } },
    });
    const [command] = positionals;
    if (values.repository === undefined || positionals.length !== 1) throw new UsageError('a command and --repository are needed');
    const given = values as Arguments;
    if (command === 'list') return await list(await open(given), say);
    if (command === 'verify') return await verify(await open(given), say);
    if (command === 'disk') return await disk(given, say);
    throw new UsageError(`there is no command "${command}"`);
  } catch (error) {
    complain(explain(error, 'vapp-vault-extract', USAGE));
    return 1;
  }
}

async function open(given: Arguments): Promise<Repository> {
  const store = new ReadOnlyStore(await openExisting(given.repository));
  return Repository.open({ store, masterKey: await masterKey(store, given), log: silentLogger });
}

async function masterKey(store: ReadOnlyStore, given: Arguments): Promise<Buffer> {
  const { 'key-file': keyFile, 'recovery-key-file': recoveryKeyFile } = given;
  if ((keyFile === undefined) === (recoveryKeyFile === undefined))
    throw new UsageError('one of --key-file and --recovery-key-file is needed');
  if (keyFile !== undefined) return openMasterKey({ path: keyFile, makeIfMissing: false });
  return recoverMasterKey(store, await readFile(recoveryKeyFile as string, 'utf8'));
}

async function list(repository: Repository, say: (line: string) => void): Promise<number> {
  let damaged = false;
  for await (const ref of repository.listManifests()) {
    try {
      const { createdAt, disks, content } = await repository.readManifest(ref);
      const vapp = (content as { vapp?: { name?: string } } | null)?.vapp?.name;
      say(
        JSON.stringify({
          ...ref,
          createdAt,
          ...(vapp !== undefined && { vapp }),
          disks: disks.map(({ diskId, capacityBytes }) => ({ diskId, capacityBytes })),
        }),
      );
    } catch (error) {
      damaged = true;
      say(JSON.stringify({ ...ref, damaged: describeError(error) }));
    }
  }
  return damaged ? DAMAGED : 0;
}

async function verify(repository: Repository, say: (line: string) => void): Promise<number> {
  const { findings, ...counts } = await repository.verify({ mode: 'full' });
  for (const finding of findings) say(JSON.stringify(finding));
  say(JSON.stringify({ ...counts, findings: findings.length }));
  return findings.length > 0 ? DAMAGED : 0;
}

async function disk(given: Arguments, say: (line: string) => void): Promise<number> {
  const { 'restore-point': restorePointId, disk: diskId, output } = given;
  if (restorePointId === undefined || diskId === undefined || output === undefined)
    throw new UsageError('--restore-point, --disk and --output are needed');
  const repository = await open(given);
  const ref = await find(repository, restorePointId);
  const manifest = await repository.readManifest(ref);
  const wanted = manifest.disks.find((candidate) => candidate.diskId === diskId);
  if (!wanted) {
    const others = manifest.disks.map((candidate) => candidate.diskId).join(', ');
    throw new UsageError(`restore point ${restorePointId} has no disk "${diskId}"; it has ${others}`);
  }
  const reader = await repository.openDisk(ref, wanted);
  const { dataBytes, damaged } = await extractDisk(reader, { path: output, keepGoing: given['keep-going'] === true });
  for (const range of damaged) say(JSON.stringify(range));
  say(JSON.stringify({ image: output, capacityBytes: reader.capacityBytes, dataBytes, damagedRanges: damaged.length }));
  return damaged.length > 0 ? DAMAGED : 0;
}

async function find(repository: Repository, restorePointId: string): Promise<ManifestRef> {
  for await (const ref of repository.listManifests()) if (ref.restorePointId === restorePointId) return ref;
  throw new UsageError(`the repository has no restore point ${restorePointId}`);
}
