import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VaultError } from '../common/index.js';
import type { ChunkTable, IdFilter, SealedBatch, SharedMemory } from './types.js';

/** The addon is missing or does not load on this machine. */
export class NativeAddonError extends VaultError {}

/** The functions of native/addon as they are exported; batches are rows in typed arrays. */
export interface Addon {
  createSharedMemory(byteLength: number): SharedMemory;
  allocatePages(byteLength: number): Buffer;
  useWorkThreads(count: number): void;
  inspect(memory: Uint8Array, spans: Float64Array, digestKey: Uint8Array): Promise<{ zero: Uint8Array; digests: Uint8Array }>;
  seal(
    memory: Uint8Array,
    spans: Float64Array,
    key: Uint8Array,
    nonces: Uint8Array,
    aads: Uint8Array,
    level: number,
    headers: Uint8Array,
    fields: Uint8Array,
    output: Uint8Array,
    cursor: Uint32Array,
  ): Promise<SealedBatch>;
  unseal(
    source: Uint8Array,
    records: Float64Array,
    codecs: Uint8Array,
    keys: Uint8Array,
    nonces: Uint8Array,
    aads: Uint8Array,
    digestKey: Uint8Array,
    digests: Uint8Array,
    target: Uint8Array | null,
  ): Promise<Uint8Array>;
  decompress(frame: Uint8Array, plainLength: number): Buffer;
  ChunkTable: new (maximumBytes: number) => ChunkTable;
  IdFilter: new (expectedIds: number) => IdFilter;
}

let loaded: Addon | undefined;

/** Loads the addon once. @throws NativeAddonError saying how to build it. */
export function addon(): Addon {
  loaded ??= load();
  return loaded;
}

function load(): Addon {
  const path = join(packageRoot(), 'native', 'build', 'vapp_vault.node');
  try {
    return createRequire(import.meta.url)(path) as Addon;
  } catch (cause) {
    const reason = existsSync(path) ? 'does not load in this version of Node or on this machine' : 'has not been built';
    throw new NativeAddonError(`The native addon ${path} ${reason}; run \`npm run build\``, {
      code: 'ADDON_MISSING',
      subject: path,
      cause,
    });
  }
}

/** Works from src/ (tests) and from dist/src/ (the service): the nearest package.json of ours. */
function packageRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    if (existsSync(manifest) && (JSON.parse(readFileSync(manifest, 'utf8')) as { name?: string }).name === 'vapp-vault') return folder;
    if (folder === dirname(folder)) {
      throw new NativeAddonError('The folder of vapp-vault, where native/build lies, was not found', { code: 'ADDON_MISSING' });
    }
  }
}
