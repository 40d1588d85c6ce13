/**
 * Every object of a repository × every way to harm it × everything that is done with a repository. `examine` fails by itself when a
 * wrong byte is delivered, when anything but one clear error comes out, or when the collector takes away what could be read before; the
 * table says what each harm costs, and who is told.
 */
import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { OTHER_ORGANIZATION, ORGANIZATION } from './fixture.js';
import { bytesOf, condemnedPacks, examine, freshName, makeScene, namesOf, recordOf, type Scene, setBytes } from './harmed-repository.js';
import type { MemoryStore } from './memory-store.js';
import { organizationFolder } from '../../src/repository/format.js';

let scene: Scene;
beforeAll(async () => {
  scene = await makeScene();
});

/** The object, another of its kind, and the one of another repository. */
interface Victim {
  name: string;
  sibling?: string;
  foreign?: string;
}

const keyOf = (organizationId: string) => `keys/${organizationFolder(organizationId)}.json`;
const VICTIMS = {
  description: () => ({ name: 'repository.json', foreign: 'repository.json' }),
  key: () => ({ name: keyOf(ORGANIZATION), sibling: keyOf(OTHER_ORGANIZATION), foreign: keyOf(ORGANIZATION) }),
  pack: () => {
    const { pack } = recordOf(scene.store, 'data');
    const sibling = condemnedPacks(scene.store)[0];
    return { name: pack, sibling, foreign: recordOf(scene.foreign, 'data').pack };
  },
  segment: () => ({
    name: namesOf(scene.store, 'index')[1],
    sibling: namesOf(scene.store, 'index')[0],
    foreign: namesOf(scene.foreign, 'index')[1],
  }),
  manifest: () => ({
    name: namesOf(scene.store, 'manifests').find((name) => name.endsWith('rp-1')),
    sibling: namesOf(scene.store, 'manifests').find((name) => name.endsWith('rp-2')),
    foreign: namesOf(scene.foreign, 'manifests').find((name) => name.endsWith('rp-1')),
  }),
  'session record': () => ({ name: namesOf(scene.store, 'sessions')[0], foreign: namesOf(scene.foreign, 'sessions')[0] }),
  'condemned list': () => ({ name: namesOf(scene.store, 'condemned')[0], foreign: namesOf(scene.foreign, 'condemned')[0] }),
} satisfies Record<string, () => { name?: string | undefined; sibling?: string | undefined; foreign?: string | undefined }>;

type Harm = (store: MemoryStore, victim: Victim) => void;
const change =
  (how: (bytes: Buffer) => Buffer): Harm =>
  (store, { name }) =>
    setBytes(store, name, how(Buffer.from(bytesOf(store, name))));
const flipped = (where: (lengthBytes: number) => number) =>
  change((bytes) => {
    const at = where(bytes.length);
    bytes[at] = (bytes[at] as number) ^ 0x10;
    return bytes;
  });

const HARMS = {
  truncated: change((bytes) => bytes.subarray(0, bytes.length >> 1)),
  'without its last bytes': change((bytes) => bytes.subarray(0, -3)),
  'longer than it was': change((bytes) => Buffer.concat([bytes, Buffer.from('more')])),
  empty: change(() => Buffer.alloc(0)),
  'a text': change(() => Buffer.from('not one of ours')),
  'a JSON null': change(() => Buffer.from('null')),
  'a JSON number': change(() => Buffer.from('7')),
  noise: change((bytes) => randomBytes(bytes.length)),
  'flipped in its first byte': flipped(() => 0),
  'flipped in the middle': flipped((lengthBytes) => lengthBytes >> 1),
  'flipped in its last bytes': flipped((lengthBytes) => lengthBytes - 20),
  missing: (store, { name }) => void store.objects.delete(name),
  duplicated: (store, { name }) => setBytes(store, freshName(name), bytesOf(store, name)),
  swapped: (store, { name, sibling }) => {
    const bytes = bytesOf(store, name);
    setBytes(store, name, bytesOf(store, sibling as string));
    setBytes(store, sibling as string, bytes);
  },
  'of another repository': (store, { name, foreign }) => setBytes(store, name, bytesOf(scene.foreign, foreign as string)),
  'joined by one of another repository': (store, { foreign }) =>
    setBytes(store, foreign as string, bytesOf(scene.foreign, foreign as string)),
} satisfies Record<string, Harm>;

interface Cost {
  open?: string;
  /** Of rp-1, which the harmed object belongs to. */
  restore?: RegExp;
  /** Where it is another than of `restore`. */
  extract?: RegExp;
  verify?: RegExp;
  gc?: RegExp;
  /** Where it differs: `ok`, and the restore point that is made reads well. */
  backup?: RegExp;
  /** Whether the other restore point of the same disk (rp-2) and the other organization's are as well as ever: they are, unless said. */
  others?: RegExp;
}

const OK = /^ok$/;
const NOTHING = /^nothing$/;
const whole = (code: RegExp): Cost => ({ restore: code, verify: code, gc: code, backup: code, others: code });
const keyDamaged: Cost = {
  restore: /^ORGANIZATION_KEY_DAMAGED$/,
  verify: /^keys\/\*\.json/,
  gc: /^ORGANIZATION_KEY_DAMAGED$/,
  backup: /^ORGANIZATION_KEY_DAMAGED$/,
  others: /^(ok|ORGANIZATION_KEY_DAMAGED)$/,
};
const chunksLost: Cost = {
  restore: /CHUNK_(DAMAGED|MISSING)/,
  verify: /disk rp-1 disk-2000.*packs\/\*/,
  others: /^(ok|CHUNK_DAMAGED|CHUNK_MISSING)$/,
};
/** Found by nobody who does not read it: verify comes first. */
const lostUnseen: Cost = { ...chunksLost, backup: /^CHUNK_DAMAGED$/ };
const manifestLost: Cost = { restore: /^MANIFEST_DAMAGED$/, verify: /manifest rp-1/, gc: /^GC_BLOCKED$/ };
const descriptionDamaged: Cost = { open: 'REPOSITORY_DAMAGED', ...whole(/^REPOSITORY_DAMAGED$/) };

type Row = [keyof typeof VICTIMS, readonly (keyof typeof HARMS)[], Cost];
const TABLE: readonly Row[] = [
  ['description', ['truncated', 'without its last bytes', 'longer than it was', 'empty', 'a text', 'noise'], descriptionDamaged],
  ['description', ['a JSON null', 'a JSON number'], descriptionDamaged],
  ['description', ['flipped in its first byte', 'flipped in the middle', 'flipped in its last bytes'], descriptionDamaged],
  ['description', ['missing'], { open: 'REPOSITORY_NOT_FOUND', ...whole(/^REPOSITORY_NOT_FOUND$/) }],
  ['description', ['of another repository'], { open: 'WRONG_MASTER_KEY', ...whole(/^WRONG_MASTER_KEY$/) }],
  [
    'key',
    ['truncated', 'without its last bytes', 'empty', 'noise', 'flipped in the middle', 'swapped', 'of another repository'],
    keyDamaged,
  ],
  ['key', ['a JSON null', 'a JSON number'], keyDamaged],
  // Every organization is collected, and then the run says what else is there.
  ['key', ['duplicated'], { verify: /^keys\/\*/, gc: /^ORGANIZATION_KEY_DAMAGED$/ }],
  [
    'key',
    ['missing'],
    {
      restore: /^ORGANIZATION_KEY_MISSING$/,
      verify: /^orgs\/\*$/,
      backup: /^ORGANIZATION_KEY_MISSING$/,
      others: /^(ok|ORGANIZATION_KEY_MISSING)$/,
    },
  ],
  ['pack', ['truncated', 'empty', 'a text', 'missing'], chunksLost],
  ['pack', ['noise', 'flipped in its first byte'], lostUnseen],
  // Seen at once where the other one is shorter.
  ['pack', ['swapped', 'of another repository'], { ...lostUnseen, backup: /^(ok|CHUNK_DAMAGED)$/ }],
  ['pack', ['flipped in the middle'], { ...lostUnseen, verify: /disk rp-1 disk-2000/ }],
  // Its trailer, and a segment says the same.
  ['pack', ['without its last bytes', 'longer than it was', 'flipped in its last bytes'], { verify: /^packs\/\*$/ }],
  ['pack', ['duplicated', 'joined by one of another repository'], { verify: /^packs\/\*$/ }],
  [
    'segment',
    ['truncated', 'empty', 'noise', 'flipped in the middle', 'duplicated', 'swapped', 'of another repository'],
    { verify: /^index\/\*$/ },
  ],
  ['segment', ['missing'], { verify: NOTHING }],
  ['manifest', ['truncated', 'without its last bytes', 'longer than it was', 'empty', 'a text', 'noise'], manifestLost],
  ['manifest', ['flipped in its first byte', 'flipped in the middle', 'of another repository'], manifestLost],
  ['manifest', ['swapped'], { ...manifestLost, others: /^(ok|MANIFEST_DAMAGED)$/ }],
  ['manifest', ['duplicated'], { verify: /^manifest /, gc: /^GC_BLOCKED$/ }],
  ['manifest', ['missing'], { restore: /^RESTORE_POINT_NOT_FOUND$/, verify: NOTHING }],
  ['session record', ['truncated', 'empty', 'noise', 'duplicated', 'of another repository'], { verify: /^sessions\/\*$/ }],
  ['session record', ['a JSON null', 'a JSON number'], { verify: /^sessions\/\*$/ }],
  ['session record', ['missing'], { verify: NOTHING }],
  ['condemned list', ['truncated', 'empty', 'noise', 'duplicated', 'of another repository'], { verify: /^condemned\/\*$/ }],
  ['condemned list', ['a JSON null', 'a JSON number'], { verify: /^condemned\/\*$/ }],
  ['condemned list', ['missing', 'joined by one of another repository'], { verify: NOTHING }],
];

describe.each(TABLE.map(([victim, harms, cost]) => ({ victim, harms, cost })))('$victim', ({ victim, harms, cost }) => {
  it.each(harms)('%s', async (harm) => {
    const store = scene.store.copy();
    (HARMS[harm] as Harm)(store, VICTIMS[victim]() as Victim);
    const seen = await examine(store, scene.masterKey);
    const { restore = OK, others = OK } = cost;
    expect(seen.open).toBe(cost.open ?? 'ok');
    expect(seen.restore['rp-1']).toMatch(restore);
    expect(seen.extract).toMatch(cost.extract ?? restore);
    expect(seen.verify).toMatch(cost.verify ?? NOTHING);
    expect(seen.gc).toMatch(cost.gc ?? OK);
    expect(seen.backup).toMatch(cost.backup ?? OK);
    expect(seen.restore['rp-2']).toMatch(others);
    expect(seen.restore['rp-other']).toMatch(others);
  });
});

describe('in a pack', () => {
  const FIELDS = { 'the magic': 0, 'the codec': 5, 'the plain length': 14, 'the payload length': 18, 'the id': 30, 'the payload': 70 };
  const flip = (store: MemoryStore, kind: Parameters<typeof recordOf>[1], field: keyof typeof FIELDS) => {
    const { pack, offset } = recordOf(store, kind);
    const bytes = Buffer.from(bytesOf(store, pack));
    bytes[offset + FIELDS[field]] = (bytes[offset + FIELDS[field]] as number) ^ 1;
    setBytes(store, pack, bytes);
  };

  it.each([
    ['page', /^INDEX_(DAMAGED|MISSING)( INDEX_MISSING)?$/, /disk rp-1 disk-2000/, /^GC_BLOCKED$/],
    ['root', /^INDEX_(DAMAGED|MISSING)$/, /disk rp-1 disk-2000/, /^GC_BLOCKED$/],
    ['document', /^DOCUMENT_DAMAGED$/, /document rp-1/, OK],
  ] as const)('a %s with a flipped bit costs its restore point only', async (kind, restore, verify, gc) => {
    for (const field of Object.keys(FIELDS) as (keyof typeof FIELDS)[]) {
      const store = scene.store.copy();
      flip(store, kind, field);
      const seen = await examine(store, scene.masterKey);
      expect(seen).toMatchObject({ open: 'ok', backup: 'ok' });
      expect(seen.restore['rp-1']).toMatch(restore);
      expect(seen.verify).toMatch(verify);
      expect(seen.gc).toMatch(gc);
      expect(seen.restore).toMatchObject({ 'rp-2': 'ok', 'rp-other': 'ok' });
    }
  });
});

describe('a repository', () => {
  it('with another key', async () => {
    expect(await examine(scene.store.copy(), randomBytes(32))).toMatchObject({
      open: 'WRONG_MASTER_KEY',
      gc: 'WRONG_MASTER_KEY',
      verify: 'WRONG_MASTER_KEY',
    });
  });

  it('of a newer version', async () => {
    const store = scene.store.copy();
    const text = bytesOf(store, 'repository.json').toString('utf8');
    setBytes(store, 'repository.json', Buffer.from(text.replace('"formatVersion": 1', '"formatVersion": 2')));
    expect(await examine(store, scene.masterKey)).toMatchObject({
      open: 'FORMAT_UNSUPPORTED',
      gc: 'FORMAT_UNSUPPORTED',
      backup: 'FORMAT_UNSUPPORTED',
    });
  });

  it('into which all of another one was copied keeps what is its own, and names the rest', async () => {
    const store = scene.store.copy();
    for (const [name, object] of scene.foreign.objects) if (!store.objects.has(name)) store.objects.set(name, object);
    const seen = await examine(store, scene.masterKey);
    expect(seen).toMatchObject({ open: 'ok', gc: 'ok', backup: 'ok', restore: { 'rp-1': 'ok', 'rp-2': 'ok', 'rp-other': 'ok' } });
    expect(seen.verify).toMatch(/^index\/\*, packs\/\*$/);
  });
});
