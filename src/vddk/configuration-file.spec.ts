import { describe, expect, it } from 'vitest';
import { checkSettings, initExConfiguration } from './configuration-file.js';
import type { VddkSettings } from './types.js';

const settings: VddkSettings = {
  libraryDir: '/opt/vmware-vix-disklib-distrib',
  temporaryDir: '/var/lib/vapp-vault/vddk',
  nfcAioBufferSizeIn64KiB: 16,
  nfcAioBufferCount: 4,
  ioDepth: 8,
  maxRequestBytes: 2 * 2 ** 20,
  memoryBytes: 64 * 2 ** 20,
  operationTimeoutMs: 120_000,
};

describe('initExConfiguration', () => {
  it("spells VDDK's keys exactly: a misspelt one is silently ignored", () => {
    const entries = Object.fromEntries(
      initExConfiguration(settings)
        .trim()
        .split('\n')
        .map((line) => /^(.+)="(.*)"$/.exec(line)?.slice(1, 3) ?? ['malformed', line]),
    );
    expect(entries).toMatchObject({
      tmpDirectory: '/var/lib/vapp-vault/vddk',
      'vixDiskLib.nfcAio.Session.BufSizeIn64KB': '16',
      'vixDiskLib.nfcAio.Session.BufCount': '4',
      'vixDiskLib.nfc.AcceptTimeoutMs': '180000',
      'vixDiskLib.nfc.RequestTimeoutMs': '180000',
      'vixDiskLib.nfc.ReadTimeoutMs': '60000',
      'vixDiskLib.nfc.WriteTimeoutMs': '600000',
      'vixDiskLib.nfcFssrvr.TimeoutMs': '0',
    });
    expect(entries).not.toHaveProperty('malformed');
  });
});

describe('checkSettings', () => {
  it.each([
    [{}, undefined],
    [{ libraryDir: 'relative/vddk' }, 'relative/vddk'],
    [{ libraryDir: '/opt/a:b' }, 'colon'],
    [{ temporaryDir: '/tmp/"x' }, 'quote'],
    [{ ioDepth: 0 }, 'ioDepth'],
    [{ maxRequestBytes: 1000 }, 'sectors'],
    [{ memoryBytes: 8 * 2 ** 20 }, 'fewer than 8'],
    [{ memoryBytes: 64 * 2 ** 20 + 1 }, 'pages'],
    [{ nfcAioBufferSizeIn64KiB: 65 }, '16 MiB'],
    [{ operationTimeoutMs: Number.NaN }, 'operationTimeoutMs'],
  ])('%j -> %s', (changes, words) => {
    const check = () => checkSettings({ ...settings, ...changes });
    if (words === undefined) expect(check).not.toThrow();
    else expect(check).toThrow(words);
  });
});
