import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KIB, MIB, SECTOR_BYTES } from '../common/index.js';
import { VddkError } from './vddk-error.js';
import type { VddkLibrarySettings, VddkSettings } from './types.js';

const PAGE_BYTES = 4 * KIB;
/** BufSizeIn64KB × BufCount × 64 KiB (VDDK 7.0.3 release notes). */
const LARGEST_NFC_AIO_BYTES = 16 * MIB;
/** "Timeout values are stored in a 32-bit field" (guide). */
const LARGEST_TIMEOUT_MS = 2_147_483_647;

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
  return complaintAboutLibrary(settings.library ?? {});
}

function complaintAboutLibrary(library: VddkLibrarySettings): string | undefined {
  const { phoneHome: told, sanDenyList, sanAllowList, transportLogLevel = 2, nfcLogLevel = 2, ...rest } = library;
  for (const text of [sanDenyList, sanAllowList, told?.databaseDir]) {
    if (text !== undefined && /["\n\r]/.test(text)) return `"${text}" contains a double quote or a line end`;
  }
  // "Legal characters: 26 letters, digits, underscore, minus, period, and space."
  for (const text of [told?.productName, told?.productVersion]) {
    if (text !== undefined && !/^[A-Za-z0-9_.\- ]+$/.test(text)) return `"${text}" has characters that VDDK's phone home does not take`;
  }
  if (!within(transportLogLevel, 6)) return `transportLogLevel is ${transportLogLevel}`;
  if (!within(nfcLogLevel, 4)) return `nfcLogLevel is ${nfcLogLevel}`;
  for (const [name, value] of Object.entries(rest)) {
    if (name.endsWith('TimeoutMs') && !within(Number(value), LARGEST_TIMEOUT_MS)) return `${name} is ${value}`;
  }
  return undefined;
}

function within(value: number, largest: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= largest;
}

const MINUTE_MS = 60_000;

/** Keys and values of InitEx's configuration file (guide, chapter 4, "Initialize Virtual Disk API"), each that it names. */
export function initExConfiguration(settings: VddkSettings): string {
  const { library = {} } = settings;
  const entries: Record<string, string | number | undefined> = {
    // Cleanup finds what a crashed process left only where that process kept its state.
    tmpDirectory: settings.temporaryDir,
    'vixDiskLib.transport.LogLevel': library.transportLogLevel ?? 2,
    'vixDiskLib.transport.san.denylist': library.sanDenyList,
    'vixDiskLib.transport.san.allowlist': library.sanAllowList,
    'vixDiskLib.transport.hotadd.NoNfcSession': settings.vmwareCloud === true || library.hotAddWithoutNfc === true ? 1 : undefined,
    'vixDiskLib.disklib.EnableCache': library.enableCache === true ? 1 : 0,
    // "The only valid value is 1."
    'vixDiskLib.linuxSSL.verifyCertificates': 1,
    'vixDiskLib.ssl.enableSslFIPS': library.enableFips === true ? 1 : undefined,
    'vixDiskLib.nfc.LogLevel': library.nfcLogLevel ?? 2,
    'vixDiskLib.nfcAio.Session.BufSizeIn64KB': settings.nfcAioBufferSizeIn64KiB,
    'vixDiskLib.nfcAio.Session.BufCount': settings.nfcAioBufferCount,
    // Without them a dead ESXi host hangs a copy for ever.
    'vixDiskLib.nfc.AcceptTimeoutMs': library.nfcAcceptTimeoutMs ?? 3 * MINUTE_MS,
    'vixDiskLib.nfc.RequestTimeoutMs': library.nfcRequestTimeoutMs ?? 3 * MINUTE_MS,
    'vixDiskLib.nfc.ReadTimeoutMs': library.nfcReadTimeoutMs ?? MINUTE_MS,
    'vixDiskLib.nfc.WriteTimeoutMs': library.nfcWriteTimeoutMs ?? 10 * MINUTE_MS,
    'vixDiskLib.nfcFssrvr.TimeoutMs': library.nfcFileSystemTimeoutMs ?? 0,
    'vixDiskLib.nfcFssrvrWrite.TimeoutMs': library.nfcFileSystemWriteTimeoutMs ?? 0,
    ...phoneHome(library),
  };
  return Object.entries(entries)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}="${value}"\n`)
    .join('');
}

function phoneHome({ phoneHome: told }: VddkLibrarySettings): Record<string, string | number | undefined> {
  if (told === undefined) return {};
  return {
    'vixDiskLib.phoneHome.EnablePhoneHome': 1,
    'vixDiskLib.phoneHome.ProductName': told.productName,
    'vixDiskLib.phoneHome.ProductVersion': told.productVersion,
    'vixDiskLib.phoneHome.DatabaseDir': told.databaseDir,
  };
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
