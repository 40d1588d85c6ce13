import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ENVIRONMENT, loadConfig } from '../../src/config/index.js';
import {
  type DiskPlace,
  initExConfiguration,
  MIGRATION_WAIT,
  restoreSnapshotRule,
  RETRIES,
  type Transport,
  transportRules,
  type VixRetry,
} from '../../src/vddk/index.js';
import { vixClass } from '../../src/vddk/vix-codes.js';

const text = readFileSync(new URL('../../docs/vddk.md', import.meta.url), 'utf8');

/** The rows of the tables under a heading, without their heads, as their cells. */
function rowsUnder(heading: string): string[][] {
  const section = text.split(/^##+ /m).find((part) => part.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`docs/vddk.md has no heading "${heading}"`);
  return [...section.matchAll(/((?:^\|.*\|$\n?)+)/gm)].flatMap(
    ([table]) =>
    table
      .trim()
      .split('\n')
      .slice(2)
      .map((row) => row.slice(1, -1).split('|').map((cell) => cell.trim())), // biome-ignore format: one thought
  );
}
const code = (cell: string | undefined) => /`([^`]+)`/.exec(cell ?? '')?.[1] ?? '';
const codes = (cell: string | undefined) => [...(cell ?? '').matchAll(/`([^`]+)`/g)].map(([, found]) => found as string);

function valueAt(tree: unknown, path: string): unknown {
  return path.split('.').reduce((value, key) => (value as Record<string, unknown> | undefined)?.[key], tree);
}
const config = loadConfig({}, '/srv');

describe('docs/vddk.md', () => {
  it('lists every key of the configuration file, its setting and its default', () => {
    const { library, ...vddk } = config.vddk;
    const everything = {
      ...library,
      sanDenyList: 'all',
      sanAllowList: 'all',
      enableFips: true,
      hotAddWithoutNfc: true,
      phoneHome: { productName: 'p', productVersion: '1', databaseDir: '/d' },
    };
    const written = initExConfiguration({ ...vddk, libraryDir: '/opt/vddk', library: everything });
    const keys = [...written.matchAll(/^([^=]+)=/gm)].map(([, key]) => key);
    const rows = rowsUnder('Configuration file');
    expect(rows.map(([key]) => code(key)).toSorted()).toEqual(keys.toSorted());
    const defaults = new Map(
      [...initExConfiguration({ ...vddk, libraryDir: '/opt/vddk', library }).matchAll(/^([^=]+)="(.*)"$/gm)].map(([, key, value]) => [
        key,
        value,
      ]),
    );
    for (const [key, setting, byDefault] of rows) {
      const shown = byDefault?.replaceAll('`', '').replace('DATA_DIR', '/srv/data').split(/[,;]/)[0];
      expect(shown, code(key)).toBe(defaults.get(code(key)) ?? 'absent');
      const name = code(setting);
      if (name !== '')
        expect(
          Object.values(ENVIRONMENT).some((path) => path === name || path.startsWith(`${name}.`)),
          name,
        ).toBe(true);
    }
  });

  it('lists every code that is tried again, and how', () => {
    const rows = new Map(rowsUnder('Failures').map(([kind, ...cells]) => [code(kind), cells]));
    expect([...rows.keys()].toSorted()).toEqual(Object.keys(RETRIES).toSorted());
    const byKind = new Map<VixRetry, number[]>();
    for (let vixCode = 1; vixCode < 65_536; vixCode += 1) {
      const { retry } = vixClass(vixCode);
      if (retry !== 'final') byKind.set(retry, [...(byKind.get(retry) ?? []), vixCode]);
    }
    for (const [kind, { attempts, delayMs }] of Object.entries(RETRIES) as [VixRetry, { attempts: number; delayMs: number }][]) {
      const [tries, seconds, listed] = rows.get(kind) ?? [];
      expect([Number(tries), Number(seconds) * 1000], kind).toEqual([attempts, delayMs]);
      if (kind !== 'final') expect(listed?.split(', ').map(Number), kind).toEqual(byKind.get(kind));
    }
    expect(config.vddk.retries.reconnect).toEqual(RETRIES.reconnect);
    expect(config.vddk.retries.soon).toEqual(RETRIES.soon);
    expect(config.vddk.retries.once).toEqual(RETRIES.once);
    expect(config.vddk.migrationWait).toEqual(MIGRATION_WAIT);
  });

  it("has the transports' table as the code has it", () => {
    const place: DiskPlace = { datastoreType: 'VMFS', bus: 'scsi', encrypted: false };
    const refuses = (transport: string, changes: Partial<DiskPlace>) =>
      transportRules([transport as Transport], { ...place, ...changes })[0]?.refused !== undefined;
    const rows = rowsUnder('Transports').slice(0, 4);
    for (const [cell, where] of rows) {
      const transport = code(cell);
      const types = ['VMFS', 'NFS', 'NFS41', 'vsan', 'VVOL'].filter((datastoreType) => refuses(transport, { datastoreType }));
      expect(codes(where).toSorted(), transport).toEqual(types.toSorted());
      expect(/encrypted/.test(where ?? ''), transport).toBe(refuses(transport, { encrypted: true }));
      expect(/IDE/.test(where ?? ''), transport).toBe(refuses(transport, { bus: 'ide' }));
    }
  });

  it("has the guide's Table 7-4 as the code has it", () => {
    for (const [transport, datastore, snapshot, writeTo, reverted, trackingOff] of rowsUnder('Snapshots of a restore')) {
      const ask = () => restoreSnapshotRule(code(transport) as Transport, code(datastore));
      if (snapshot === 'not supported') expect(ask).toThrow(/not supported/);
      else {
        expect(ask()).toEqual({ snapshot, writeTo, revertAndDelete: reverted === 'yes', changeTrackingOff: trackingOff === 'yes' });
      }
    }
  });

  it('names the limits the service has', () => {
    const rows = rowsUnder('Limits');
    expect(rows.map(([, setting]) => code(setting))).toEqual([
      'limits.nfcBytesPerEsxiHost',
      'limits.disksPerEsxiHost',
      'limits.vcenterConnections',
    ]);
    for (const [, setting, value] of rows) expect(valueAt(config, code(setting)), code(setting)).toBe(Number(value));
  });

  it('answers every entry of the release notes', () => {
    const rows = rowsUnder('Release notes of VDDK 6.7');
    const count = (section: string) => rows.filter(([name]) => name === section).length;
    // As many as the notes have under "Changes and New Features", "Compatibility Notices", "Recently Resolved Issues", "Known Issues".
    expect({ new: count('new'), notice: count('notice'), resolved: count('resolved'), known: count('known') }).toEqual({
      new: 7,
      notice: 4,
      resolved: 11,
      known: 11,
    });
    expect(rows.filter((row) => row.length !== 3 || row.some((cell) => cell === ''))).toEqual([]);
  });
});
