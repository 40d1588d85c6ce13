import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KIB, MIB, SECTOR_BYTES } from '../common/index.js';
import { VddkError } from './vddk-error.js';
import type { VddkSettings } from './types.js';

const PAGE_BYTES = 4 * KIB;
/** BufSizeIn64KB × BufCount × 64 KiB (VDDK 7.0.3 release notes). */
const LARGEST_NFC_AIO_BYTES = 16 * MIB;

/** @throws VddkError naming the first setting that cannot work. */
export function checkSettings(settings: VddkSettings): void {
  const complaint = complaintAbout(settings);
  if (complaint !== undefined) throw new VddkError(`The VDDK settings cannot work: ${complaint}`, { code: 'VDDK_SETTINGS' });
}

function complaintAbout(settings: VddkSettings): string | undefined {
  const { libraryDir, temporaryDir, ioDepth, maxRequestBytes, memoryBytes, nfcAioBufferSizeIn64KiB, nfcAioBufferCount } = settings;
  for (const path of [libraryDir, temporaryDir]) {
    if (!path.startsWith('/') || /[\n\r]/.test(path)) return `"${path}" is not an absolute path`;
  }
  // The configuration file has no way to write a quote within its quotes.
  if (temporaryDir.includes('"')) return `${temporaryDir} contains a double quote`;
  // LD_LIBRARY_PATH has no way to quote these.
  if (/[:;]/.test(libraryDir)) return `"${libraryDir}" contains a colon or semicolon`;
  for (const [name, value] of Object.entries({ ioDepth, maxRequestBytes, memoryBytes, nfcAioBufferSizeIn64KiB, nfcAioBufferCount })) {
    if (!Number.isSafeInteger(value) || value < 1) return `${name} is ${value}`;
  }
  if (!(settings.operationTimeoutMs > 0)) return `operationTimeoutMs is ${settings.operationTimeoutMs}`;
  if (maxRequestBytes % SECTOR_BYTES !== 0) return `maxRequestBytes ${maxRequestBytes} is not a whole number of sectors`;
  if (memoryBytes % PAGE_BYTES !== 0) return `memoryBytes ${memoryBytes} is not a whole number of 4 KiB pages`;
  if (memoryBytes < ioDepth * maxRequestBytes)
    return `memoryBytes ${memoryBytes} holds fewer than ${ioDepth} requests of ${maxRequestBytes} bytes`;
  if (nfcAioBufferSizeIn64KiB * nfcAioBufferCount * 64 * KIB > LARGEST_NFC_AIO_BYTES) return 'the NFC AIO buffers exceed 16 MiB';
  return undefined;
}

/** Keys and values of InitEx's configuration file (guide, "Initialize virtual disk API"). */
export function initExConfiguration(settings: VddkSettings): string {
  const minutes = (count: number) => count * 60_000;
  const entries: Record<string, string | number> = {
    // Cleanup finds what a crashed process left only where that process kept its state.
    tmpDirectory: settings.temporaryDir,
    'vixDiskLib.transport.LogLevel': 2,
    'vixDiskLib.nfc.LogLevel': 2,
    'vixDiskLib.nfcAio.Session.BufSizeIn64KB': settings.nfcAioBufferSizeIn64KiB,
    'vixDiskLib.nfcAio.Session.BufCount': settings.nfcAioBufferCount,
    // Recommended values (guide, "NFC timeouts"): without them a dead ESXi host hangs a copy for ever.
    'vixDiskLib.nfc.AcceptTimeoutMs': minutes(3),
    'vixDiskLib.nfc.RequestTimeoutMs': minutes(3),
    'vixDiskLib.nfc.ReadTimeoutMs': minutes(1),
    'vixDiskLib.nfc.WriteTimeoutMs': minutes(10),
    'vixDiskLib.nfcFssrvr.TimeoutMs': 0,
  };
  return Object.entries(entries)
    .map(([key, value]) => `${key}="${value}"\n`)
    .join('');
}

/** @returns the path of a fresh file only this user can read; the caller deletes it. */
export async function writeConfigurationFile(settings: VddkSettings): Promise<string> {
  try {
    await mkdir(settings.temporaryDir, { recursive: true, mode: 0o700 });
    const path = join(settings.temporaryDir, `vddk-${process.pid}-${randomBytes(6).toString('hex')}.conf`);
    await writeFile(path, initExConfiguration(settings), { mode: 0o600, flag: 'wx' });
    return path;
  } catch (cause) {
    throw new VddkError(`VDDK's temporary folder ${settings.temporaryDir} cannot be written`, {
      code: 'VDDK_SETTINGS',
      subject: settings.temporaryDir,
      cause,
    });
  }
}
