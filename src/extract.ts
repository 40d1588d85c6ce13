/**
 * vapp-vault-extract: the escape hatch. Lists and restores disks from a repository (folder or bucket) and a key, with
 * neither service nor database, and changes nothing in the repository.
 */
import { parseArgs } from 'node:util';
import { describeError, silentLogger } from './common/index.js';
import { extractImage, IMAGE_FORMATS, type ImageFormat } from './extract-image.js';
import { extractDisk, type ManifestRef, ReadOnlyStore, READING_INDEX_MEMORY_BYTES, Repository } from './repository/index.js';
import { explain, openExisting, type Place, PLACE_OPTIONS, PLACE_USAGE, readMasterKey, UsageError } from './repository-tools.js';

const USAGE = `usage:
  vapp-vault-extract list   WHERE KEY
  vapp-vault-extract verify WHERE KEY
  vapp-vault-extract disk   WHERE KEY --restore-point ID --disk ID --output FILE [--format FORMAT | --keep-going]

${PLACE_USAGE}

KEY is one of
  --key-file FILE            the master key, as the service has it
  --key-command COMMAND      prints the master key, as for the service
  --recovery-key-file FILE   the recovery key, as "keys recovery" printed it

list    restore points and their disks, one line of JSON each
verify  reads everything; one line of JSON for each damage
disk    writes the disk as a sparse image: raw, or in FORMAT: vmdk, vmdk-stream-optimized, qcow2;
        with --keep-going damaged parts of a raw one become zeros and are listed

Ends with 0, with 1 when it could not do it, with 3 when there is damage.
`;

const DAMAGED = 3;

interface Arguments extends Place {
  'key-file'?: string;
  'key-command'?: string;
  'recovery-key-file'?: string;
  'restore-point'?: string;
  disk?: string;
  output?: string;
  format?: string;
  'keep-going'?: boolean;
}

/** @returns the exit code. */
export async function extract(argv: readonly string[], say: (line: string) => void, complain: (line: string) => void): Promise<number> {
  try {
    const string = { type: 'string' } as const;
    const options = {
      ...PLACE_OPTIONS,
      'key-file': string,
      'key-command': string,
      'recovery-key-file': string,
      'restore-point': string,
      disk: string,
      output: string,
      format: string,
    };
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { ...options, 'keep-going': { type: 'boolean' } },
    });
    const [command] = positionals;
    if (values.repository === undefined || positionals.length !== 1) throw new UsageError('a command and --repository are needed');
    const work = COMMANDS[command ?? ''];
    if (work === undefined) throw new UsageError(`there is no command "${command}"`);
    return await withRepository(values as Arguments, (repository) => work(repository, values as Arguments, say));
  } catch (error) {
    complain(explain(error, 'vapp-vault-extract', USAGE));
    return 1;
  }
}

type Command = (repository: Repository, given: Arguments, say: (line: string) => void) => Promise<number>;

const COMMANDS: Readonly<Record<string, Command>> = {
  list: (repository, _given, say) => list(repository, say),
  verify: (repository, _given, say) => verify(repository, say),
  disk,
};

async function withRepository(given: Arguments, work: (repository: Repository) => Promise<number>): Promise<number> {
  const store = new ReadOnlyStore(await openExisting(given));
  try {
    const source = { file: given['key-file'], command: given['key-command'], recoveryKeyFile: given['recovery-key-file'] };
    const masterKey = await readMasterKey(store, source, '--key-file, --key-command and --recovery-key-file');
    return await work(await Repository.open({ store, masterKey, log: silentLogger, indexMemoryBytes: READING_INDEX_MEMORY_BYTES }));
  } finally {
    await store.close();
  }
}

async function list(repository: Repository, say: (line: string) => void): Promise<number> {
  let damaged = false;
  const damagedKey = (error: Error) => {
    damaged = true;
    say(JSON.stringify({ damaged: error.message }));
  };
  for await (const ref of repository.listManifests(undefined, damagedKey)) {
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

async function disk(repository: Repository, given: Arguments, say: (line: string) => void): Promise<number> {
  const { 'restore-point': restorePointId, disk: diskId, output, format = 'raw' } = given;
  if (restorePointId === undefined || diskId === undefined || output === undefined)
    throw new UsageError('--restore-point, --disk and --output are needed');
  const imageFormat = formatOf(format, given['keep-going'] === true);
  const ref = await find(repository, restorePointId);
  const manifest = await repository.readManifest(ref);
  const wanted = manifest.disks.find((candidate) => candidate.diskId === diskId);
  if (!wanted) {
    const others = manifest.disks.map((candidate) => candidate.diskId).join(', ');
    throw new UsageError(`restore point ${restorePointId} has no disk "${diskId}"; it has ${others}`);
  }
  const reader = await repository.openDisk(ref, wanted);
  if (imageFormat !== undefined) {
    const contentId = Number.parseInt(wanted.indexId.slice(0, 8), 16) || 1;
    const imageBytes = await extractImage(reader, { format: imageFormat, path: output, name: diskId, contentId });
    say(JSON.stringify({ image: output, format, capacityBytes: reader.capacityBytes, imageBytes }));
    return 0;
  }
  const { dataBytes, damaged } = await extractDisk(reader, { path: output, keepGoing: given['keep-going'] === true });
  for (const range of damaged) say(JSON.stringify(range));
  say(JSON.stringify({ image: output, capacityBytes: reader.capacityBytes, dataBytes, damagedRanges: damaged.length }));
  return damaged.length > 0 ? DAMAGED : 0;
}

/** @returns undefined for raw. */
function formatOf(format: string, keepGoing: boolean): ImageFormat | undefined {
  if (format === 'raw') return undefined;
  const known = IMAGE_FORMATS.find((candidate) => candidate === format);
  if (known === undefined) throw new UsageError(`there is no format "${format}"; there are raw, ${IMAGE_FORMATS.join(', ')}`);
  if (keepGoing) throw new UsageError('--keep-going is for raw images only');
  return known;
}

async function find(repository: Repository, restorePointId: string): Promise<ManifestRef> {
  const damagedKeys: string[] = [];
  const refs = repository.listManifests(undefined, ({ message }) => damagedKeys.push(message));
  for await (const ref of refs) if (ref.restorePointId === restorePointId) return ref;
  const unread = damagedKeys.length > 0 ? ` that can be read (${damagedKeys.join('; ')})` : '';
  throw new UsageError(`the repository has no restore point ${restorePointId}${unread}`);
}
