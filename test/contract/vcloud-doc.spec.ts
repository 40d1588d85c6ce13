import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareMedia, compareVappAttributes, type MediaCapture, type VappCapture } from '../../src/vcd/index.js';
import { type EverythingCell, startEverythingCell } from './everything-cell.js';

const text = readFileSync(new URL('../../docs/vcloud.md', import.meta.url), 'utf8');

/** The rows of the tables under a heading, as their cells. */
function rowsUnder(heading: string): string[][] {
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`docs/vcloud.md has no heading "${heading}"`);
  return [...section.matchAll(/^\|(.*)\|$/gm)].map(([, row]) => (row as string).split('|').map((cell) => cell.trim()));
}
const codeIn = (cell: string | undefined) => [...(cell ?? '').matchAll(/`([^`]+)`/g)].map(([, code]) => code as string);
const fieldsUnder = (heading: string) => new Set(rowsUnder(heading).flatMap(([attribute]) => codeIn(attribute)));

const OF_VAPPS = [
  'Attributes of a vApp',
  'Attributes of a VM',
  'Attributes of a named disk',
  'Attributes of a vApp template',
  'Attributes of a catalog item',
];
const OF_MEDIA = ['Attributes of a medium', 'Attributes of a catalog item'];
/** Words in capitals stand for what a person named (of the seed's names, only metadata keys hold dots), `*` for what is below. */
const PLACEHOLDER = /\b[A-Z]{2,}(?::[A-Z]+)?\b|\*/g;
const patternOf = (path: string) => {
  const name = (placeholder: string) => (placeholder === '*' || placeholder === 'KEY' ? '.+' : '[^.]+');
  return new RegExp(`^${path.replace(/[.]/g, '\\.').replace(PLACEHOLDER, name)}$`);
};
const pathsUnder = (headings: readonly string[]) =>
  headings.flatMap(rowsUnder).flatMap(([, path]) => codeIn(path?.replace(/\([^)]*\)/g, '')));

let cell: EverythingCell;
const vapps: VappCapture[] = [];
let template: VappCapture;
let medium: MediaCapture;

beforeAll(async () => {
  cell = await startEverythingCell();
  const { vcd } = cell;
  for (const { name } of cell.cloud.state.vapps) vapps.push(await vcd.captureVapp(cell.href('vapp', name)));
  template = await vcd.captureVappTemplate(cell.href('template', 'pair'));
  medium = await vcd.captureMedia(cell.href('media', 'installer'));
});
afterAll(() => cell?.close());

/** What the seed has not: put on, so that every path there can be is there. */
function decorated(capture: VappCapture): VappCapture {
  const products =
    '<ProductSectionList xmlns="http://www.vmware.com/vcloud/v1.5"><ProductSection><Product>p</Product></ProductSection></ProductSectionList>';
  const boot = '<BootOptions xmlns="http://www.vmware.com/vcloud/v1.5"><BootDelay>5</BootDelay></BootOptions>';
  const sections = { ...capture.sections, ProductSectionList: products };
  const metadata = [{ key: 'k', type: 'MetadataStringValue', value: 'v', domain: 'GENERAL', visibility: 'READWRITE' } as const];
  return {
    ...{ ...capture, sections, access: { ...capture.access, sharedToEveryone: true, everyoneAccessLevel: 'ReadOnly' } },
    startup: capture.startup.map((item) => ({ ...item, waitingForGuest: true })),
    vms: capture.vms.map((vm) => ({
      ...{ ...vm, description: 'd', hardware: { ...vm.hardware, nestedHypervisor: true } },
      sections: { ...vm.sections, ProductSectionList: products, BootOptions: boot },
    })),
    namedDisks: (capture.namedDisks ?? []).map((disk) => ({ ...disk, sharingType: 'DiskSharing' })),
    ...(capture.catalogEntry && { catalogEntry: { ...capture.catalogEntry, metadata } }),
  };
}

/** Every path of a comparison of captures with themselves, and of one with what has lost its lists. */
function pathsOfVapps(): { whole: string[]; lost: string[] } {
  const captures = [...vapps, template].map(decorated);
  const emptied = (capture: VappCapture): VappCapture => ({
    ...capture,
    metadata: [],
    vms: [],
    namedDisks: [],
    affinityRules: [],
    networks: [],
  });
  const diskless = (capture: VappCapture): VappCapture => ({ ...capture, vms: capture.vms.map((vm) => ({ ...vm, disks: [] })) });
  const pathsOf = (one: VappCapture, other: VappCapture) => compareVappAttributes(one, other).map(({ path }) => path);
  return {
    whole: captures.flatMap((capture) => pathsOf(capture, capture)),
    lost: captures.flatMap((capture) => [...pathsOf(capture, emptied(capture)), ...pathsOf(capture, diskless(capture))]),
  };
}

/** What a doc's path says, or, of something lost, what is above it. */
function names(documented: readonly string[], path: string, lost = false): boolean {
  const above = (pattern: string) => pattern.split('.').map((_, index, parts) => parts.slice(0, index + 1).join('.'));
  return documented.flatMap((pattern) => (lost ? above(pattern) : [pattern])).some((pattern) => patternOf(pattern).test(path));
}

describe('docs/vcloud.md', () => {
  it('names every path that a comparison can give', () => {
    const documented = pathsUnder(OF_VAPPS);
    const { whole, lost } = pathsOfVapps();
    expect([...new Set(whole)].filter((path) => !names(documented, path))).toEqual([]);
    expect([...new Set(lost)].filter((path) => !names(documented, path, true))).toEqual([]);
    const ofMedia = compareMedia(medium, medium).map(({ path }) => path);
    expect(ofMedia.filter((path) => !names(pathsUnder(OF_MEDIA), path))).toEqual([]);
  });

  it('names no path that there is not', () => {
    const { whole, lost } = pathsOfVapps();
    const paths = [...new Set([...whole, ...lost])];
    expect(pathsUnder(OF_VAPPS).filter((path) => !paths.some((candidate) => patternOf(path).test(candidate)))).toEqual([]);
    const ofMedia = compareMedia(medium, medium).map(({ path }) => path);
    expect(pathsUnder(['Attributes of a medium']).filter((path) => !ofMedia.some((candidate) => patternOf(path).test(candidate)))).toEqual(
      [],
    );
  });

  it('says of every field of a capture where it is read and how it is put back', () => {
    const missing = (heading: string, items: readonly object[]) => {
      const told = fieldsUnder(heading);
      return [...new Set(items.flatMap((item) => Object.keys(item)))]
        .filter((field) => !told.has(field))
        .map((field) => `${heading}: ${field}`);
    };
    const vms = [...vapps, template].flatMap((capture) => capture.vms);
    expect([
      ...missing('Attributes of a vApp', vapps),
      ...missing('Attributes of a VM', [...vms, ...vms.flatMap((vm) => vm.disks)]),
      ...missing(
        'Attributes of a named disk',
        vapps.flatMap((vapp) => vapp.namedDisks ?? []),
      ),
      ...missing('Attributes of a catalog item', [template.catalogEntry ?? {}, medium.catalogEntry]),
      ...missing('Attributes of a medium', [medium]),
    ]).toEqual([]);
    for (const heading of [...OF_VAPPS, ...OF_MEDIA]) {
      for (const row of rowsUnder(heading))
        expect([heading, row.length, row[0], row[2] !== '', row[3] !== '']).toEqual([heading, 4, row[0], true, true]);
    }
  });

  it('names all codes of an object that is gone', () => {
    for (const code of ['VAPP_NOT_FOUND', 'VM_NOT_FOUND', 'TEMPLATE_NOT_FOUND', 'MEDIA_NOT_FOUND', 'DISK_NOT_FOUND'])
      expect(text).toContain(code);
  });
});
