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
    expect(entries).not.toHaveProperty('vixDiskLib.phoneHome.EnablePhoneHome');
  });

  it('writes every key the guide names, from the settings', () => {
    const text = initExConfiguration({
      ...settings,
      library: {
        transportLogLevel: 6,
        nfcLogLevel: 4,
        nfcAcceptTimeoutMs: 1,
        nfcRequestTimeoutMs: 2,
        nfcReadTimeoutMs: 3,
        nfcWriteTimeoutMs: 4,
        nfcFileSystemTimeoutMs: 5,
        nfcFileSystemWriteTimeoutMs: 6,
        sanDenyList: 'all',
        sanAllowList: '/dev/sdb,/dev/sdc',
        enableCache: true,
        enableFips: true,
        hotAddWithoutNfc: true,
        phoneHome: { productName: 'vApp Vault', productVersion: '0.1.0', databaseDir: '/var/lib/ceip' },
      },
    });
    expect(text.trim().split('\n')).toEqual([
      'tmpDirectory="/var/lib/vapp-vault/vddk"',
      'vixDiskLib.transport.LogLevel="6"',
      'vixDiskLib.transport.san.denylist="all"',
      'vixDiskLib.transport.san.allowlist="/dev/sdb,/dev/sdc"',
      'vixDiskLib.transport.hotadd.NoNfcSession="1"',
      'vixDiskLib.disklib.EnableCache="1"',
      'vixDiskLib.linuxSSL.verifyCertificates="1"',
      'vixDiskLib.ssl.enableSslFIPS="1"',
      'vixDiskLib.nfc.LogLevel="4"',
      'vixDiskLib.nfcAio.Session.BufSizeIn64KB="16"',
      'vixDiskLib.nfcAio.Session.BufCount="4"',
      'vixDiskLib.nfc.AcceptTimeoutMs="1"',
      'vixDiskLib.nfc.RequestTimeoutMs="2"',
      'vixDiskLib.nfc.ReadTimeoutMs="3"',
      'vixDiskLib.nfc.WriteTimeoutMs="4"',
      'vixDiskLib.nfcFssrvr.TimeoutMs="5"',
      'vixDiskLib.nfcFssrvrWrite.TimeoutMs="6"',
      'vixDiskLib.phoneHome.EnablePhoneHome="1"',
      'vixDiskLib.phoneHome.ProductName="vApp Vault"',
      'vixDiskLib.phoneHome.ProductVersion="0.1.0"',
      'vixDiskLib.phoneHome.DatabaseDir="/var/lib/ceip"',
    ]);
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
    [{ library: { nfcLogLevel: 5 } }, 'nfcLogLevel'],
    [{ library: { transportLogLevel: 7 } }, 'transportLogLevel'],
    [{ library: { nfcReadTimeoutMs: 2 ** 31 } }, 'nfcReadTimeoutMs'],
    [{ library: { sanAllowList: '/dev/sdb"\nx="' } }, 'double quote'],
    [{ library: { phoneHome: { productName: 'a/b', productVersion: '1' } } }, 'phone home'],
  ])('%j -> %s', (changes, words) => {
    const check = () => checkSettings({ ...settings, ...changes });
    if (words === undefined) expect(check).not.toThrow();
    else expect(check).toThrow(words);
  });
});
