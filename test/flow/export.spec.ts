import { createHash } from 'node:crypto';
import { get, type IncomingMessage } from 'node:http';
import { Readable, Writable } from 'node:stream';
import { pino } from 'pino';
import { extract } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DiskPointRow, Page, RestorePointRow, SourceKind, VappDetail } from '../../src/catalog/index.js';
import { parseXml, sleep, type XmlElement } from '../../src/common/index.js';
import { diskOf, openQcow2, openSparseVmdk, openStream, partsOf } from '../../src/image/testing-readers.js';
import type { RunView } from '../../src/jobs/index.js';
import type { Seed } from '../simulator/seeds/schema.js';
import { damageEveryPack } from './damage.js';
import { leanEverything } from './lean-everything.js';
import { StoredPoints } from './stored-points.js';
import { World } from './world.js';

const MIB = 2 ** 20;

/** A vApp, a template and a medium, with little on their disks. */
function seed(): Seed {
  const everything = leanEverything();
  const vapps = everything.vapps.filter(({ name }) => name === 'shop' || name === 'golden');
  for (const { name, vms } of vapps) {
    const dataBytes = name === 'shop' ? 10 * MIB : 2 * MIB;
    for (const disk of vms.flatMap(({ disks }) => disks)) Object.assign(disk, { capacityBytes: 16 * MIB + 512, dataBytes });
  }
  const catalogs = everything.catalogs.map((catalog) => ({
    ...catalog,
    templates: catalog.templates.filter(({ fromVapp }) => fromVapp === 'golden'),
  }));
  return { ...everything, vapps, catalogs, disks: [], affinityRules: [], instances: [] };
}

interface Answer {
  status: number;
  headers: Headers;
  body: Buffer;
}

describe('an export', { timeout: 180_000 }, () => {
  const logged: string[] = [];
  let world: World;
  let stored: StoredPoints;
  let point: RestorePointRow;
  let disk: DiskPointRow;

  beforeAll(async () => {
    const lines = new Writable({ write: (chunk, _encoding, done) => done(void logged.push(String(chunk)) as undefined) });
    world = await World.start({ seed: seed(), log: pino({ level: 'info' }, lines), environment: { VAPP_VAULT_CONCURRENT_EXPORTS: '2' } });
    await world.register();
    stored = await StoredPoints.open(world);
    point = await world.backUp('shop');
    disk = point.vms.flatMap((vm) => vm.disks)[1] as DiskPointRow;
  });
  afterAll(() => world?.close());

  /** The first of its kind that the inventory has. */
  const backUp = async (kind: SourceKind): Promise<RestorePointRow> => {
    const { items } = await world.api.get<Page<VappDetail>>(`/api/v1/vapps?kind=${kind}`);
    const run = await world.finish(await world.api.post<RunView>('/api/v1/backups', { vappId: items[0]?.id, settings: {} }));
    expect(run.error).toBeNull();
    return world.api.get<RestorePointRow>(`/api/v1/restore-points/${String(run.result?.restorePointId)}`);
  };
  const pathOf = (format: string, of = disk) => `/api/v1/restore-points/${point.id}/disks/${of.diskId}/export?format=${format}`;
  const ovaPath = () => `/api/v1/restore-points/${point.id}/export`;
  const ask = async (path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> => {
    const response = await fetch(`${world.url}${path}`, { method, headers: { authorization: `Bearer ${world.apiKey}`, ...headers } });
    return { status: response.status, headers: response.headers, body: Buffer.from(await response.arrayBuffer()) };
  };
  /** An answer that nobody reads on: what is sent fills the buffers, and waits. */
  const begin = (path: string): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      get(`${world.url}${path}`, { headers: { authorization: `Bearer ${world.apiKey}` } }, resolve).on('error', reject);
    });
  const linesWith = (message: string) =>
    logged.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ msg }) => msg === message);
  const eventually = async (what: string, holds: () => boolean | Promise<boolean>) => {
    for (let looks = 0; looks < 1500; looks += 1) {
      if (await holds()) return;
      await sleep(20);
    }
    throw new Error(`It did not come to be: ${what}`);
  };

  it('gives every disk as it was, raw', async () => {
    for (const each of point.vms.flatMap((vm) => vm.disks)) {
      const { status, headers, body } = await ask(pathOf('raw', each));
      expect(status).toBe(200);
      expect(headers.get('content-length')).toBe(String(each.capacityBytes));
      expect(createHash('sha256').update(body).digest('hex')).toBe(await stored.sha256(point, each));
    }
    const [begun] = linesWith('export begun');
    expect(begun).toMatchObject({
      restorePointId: point.id,
      vapp: 'shop',
      format: 'raw',
      what: expect.stringMatching(/^Hard disk \d of VM "/),
    });
    expect(begun?.apiKeyId).toBeTruthy();
    expect(linesWith('export ended')).toHaveLength(linesWith('export begun').length);
  });

  it('gives the same disk in every format', async () => {
    const raw = (await ask(pathOf('raw'))).body;
    const vmdk = await ask(pathOf('vmdk'));
    const stream = await ask(pathOf('vmdk-stream-optimized'));
    const qcow2 = await ask(pathOf('qcow2'));
    expect((await diskOf(await openSparseVmdk(partsOf(vmdk.body)))).equals(raw)).toBe(true);
    expect((await diskOf(await openStream(stream.body))).equals(raw)).toBe(true);
    expect((await diskOf(await openQcow2(partsOf(qcow2.body), qcow2.body.length))).equals(raw)).toBe(true);
    expect([vmdk, qcow2].map(({ headers }) => headers.get('accept-ranges'))).toEqual(['bytes', 'bytes']);
    expect([vmdk, qcow2].map(({ headers }) => Number(headers.get('content-length')))).toEqual([vmdk.body.length, qcow2.body.length]);
    expect(stream.headers.get('accept-ranges')).toBe('none');
    expect(stream.headers.get('content-length')).toBeNull();
    expect(vmdk.headers.get('content-disposition')).toMatch(/^attachment; filename="shop-.*\.vmdk"/);
    // Each form is another file.
    expect(new Set([vmdk, stream, qcow2].map(({ headers }) => headers.get('etag'))).size).toBe(3);
  });

  it('gives parts, and carries on only what has not changed', async () => {
    const { body: whole, headers } = await ask(pathOf('qcow2'));
    const etag = headers.get('etag') as string;
    const size = whole.length;
    const part = async (range: string, more: Record<string, string> = {}) => ask(pathOf('qcow2'), { range, ...more });
    for (const [range, start, end] of [
      ['bytes=0-0', 0, 1],
      ['bytes=65530-1000000', 65530, 1000001],
      [`bytes=${size - 3}-`, size - 3, size],
      [`bytes=1000000-${size * 2}`, 1000000, size],
      ['bytes=-70000', size - 70000, size],
    ] as const) {
      const answer = await part(range);
      expect(answer.status, range).toBe(206);
      expect(answer.headers.get('content-range')).toBe(`bytes ${start}-${end - 1}/${size}`);
      expect(answer.body.equals(whole.subarray(start, end)), range).toBe(true);
    }
    expect((await part('bytes=5-10', { 'if-range': etag })).status).toBe(206);
    for (const [range, more] of [
      ['bytes=5-10', { 'if-range': '"another"' }],
      ['bytes=5-10', { 'if-range': 'Sat, 21 Nov 2026 19:00:00 GMT' }],
      ['bytes=0-1,5-6', {}],
      ['lines=0-1', {}],
    ] as const) {
      const answer = await part(range, more);
      expect(answer.status, range).toBe(200);
      expect(answer.body.equals(whole)).toBe(true);
    }
    for (const range of [`bytes=${size}-`, 'bytes=-0']) {
      const refused = await part(range);
      expect(refused.status).toBe(416);
      expect(refused.headers.get('content-range')).toBe(`bytes */${size}`);
      expect(JSON.parse(refused.body.toString())).toMatchObject({ code: 'RANGE_NOT_SATISFIABLE' });
    }
    expect((await ask(pathOf('qcow2'), { 'if-none-match': etag })).status).toBe(304);
    const head = await ask(pathOf('qcow2'), {}, 'HEAD');
    expect(head.headers.get('content-length')).toBe(String(size));
    expect(head.headers.get('etag')).toBe(etag);
  });

  describe('of a vApp', () => {
    let files: { name: string; bytes: Buffer }[];
    let whole: Answer;

    beforeAll(async () => {
      whole = await ask(ovaPath());
      expect(whole.status).toBe(200);
      expect(whole.headers.get('content-length')).toBe(String(whole.body.length));
      // More than what sockets take of an answer that nobody reads.
      expect(whole.body.length).toBeGreaterThan(24 * MIB);
      files = await untar(whole.body);
    });

    it('is an archive of descriptor, disks in its order, and a manifest that fits', () => {
      expect(files.map(({ name }) => name)).toEqual([
        'shop.ovf',
        ...point.vms.flatMap((vm) => vm.disks).map((_, i) => `shop-disk${i + 1}.vmdk`),
        'shop.mf',
      ]);
      const manifest = files.at(-1)?.bytes.toString();
      const lines = files.slice(0, -1).map(({ name, bytes }) => `SHA256(${name})= ${createHash('sha256').update(bytes).digest('hex')}\n`);
      expect(manifest).toBe(lines.join(''));
    });

    it('holds every disk, and its descriptor says which VM has it where', async () => {
      const envelope = parseXml(files[0]?.bytes.toString() ?? '');
      const references = envelope.child('References')?.childrenNamed('File') ?? [];
      expect(references.map((file) => [file.attribute('href'), Number(file.attribute('size'))])).toEqual(
        files.slice(1, -1).map(({ name, bytes }) => [name, bytes.length]),
      );
      const systems = envelope.child('VirtualSystemCollection')?.childrenNamed('VirtualSystem') ?? [];
      expect(systems.map((system) => system.attribute('id')).toSorted()).toEqual(point.vms.map(({ name }) => name).toSorted());
      for (const vm of point.vms) {
        const system = systems.find((candidate) => candidate.attribute('id') === vm.name) as XmlElement;
        for (const each of vm.disks) {
          const file = fileOf(envelope, diskItem(system, each.label));
          const image = files.find(({ name }) => name === file)?.bytes ?? Buffer.alloc(0);
          const content = await diskOf(await openStream(image));
          expect(createHash('sha256').update(content).digest('hex'), `${vm.name} ${each.label}`).toBe(await stored.sha256(point, each));
        }
      }
      const networks =
        envelope
          .child('NetworkSection')
          ?.childrenNamed('Network')
          .map((network) => network.attribute('name')) ?? [];
      const used = systems.flatMap((system) => itemsOf(system).flatMap((item) => item.textAt('Connection') ?? []));
      expect(used.length).toBeGreaterThan(0);
      expect(used.filter((name) => !networks.includes(name))).toEqual([]);
      const startup = envelope.find('VirtualSystemCollection', 'StartupSection')?.childrenNamed('Item') ?? [];
      expect(startup.map((item) => item.attribute('id')).toSorted()).toEqual(point.vms.map(({ name }) => name).toSorted());
    });

    it('is carried on from anywhere, manifest included', async () => {
      const size = whole.body.length;
      for (const start of [size - 10_000, Math.floor(size / 2), 700]) {
        const part = await ask(ovaPath(), { range: `bytes=${start}-`, 'if-range': whole.headers.get('etag') as string });
        expect(part.status).toBe(206);
        expect(part.body.equals(whole.body.subarray(start))).toBe(true);
      }
    });
  });

  it('is refused where it cannot be, and to who may only look', async () => {
    expect((await ask(`/api/v1/restore-points/${point.id}/disks/nobody/export`)).status).toBe(404);
    expect((await ask('/api/v1/restore-points/nothing/export')).status).toBe(404);
    expect((await ask(`${ovaPath()}?format=zip`)).status).toBe(422);
    const unfit = await ask(`${ovaPath()}?format=raw`);
    expect(JSON.parse(unfit.body.toString())).toMatchObject({ status: 422, code: 'EXPORT_FORMAT_UNFIT' });
    const { key } = await world.api.post<{ key: string }>('/api/v1/api-keys', { name: 'reports', role: 'provider-viewer' });
    expect((await ask(ovaPath(), { authorization: `Bearer ${key}` })).status).toBe(403);
  });

  it('keeps the restore point and its place until it ends, and no longer', async () => {
    const exports = [await begin(ovaPath()), await begin(ovaPath())];
    const third = await ask(pathOf('raw'));
    expect(third.status).toBe(503);
    expect(third.headers.get('retry-after')).toBe('5');
    expect(JSON.parse(third.body.toString())).toMatchObject({ code: 'EXPORT_LIMIT_REACHED' });
    const refused = await ask(`/api/v1/restore-points/${point.id}`, {}, 'DELETE');
    expect(refused.status).toBe(409);
    expect(refused.body.toString()).toContain('is being read by an export');
    for (const each of exports) each.destroy();
    await eventually('both places are free', async () => (await ask(pathOf('raw'), {}, 'HEAD')).status === 200);
    await eventually('both ends are written down', () => linesWith('export broken off by the one who asked for it').length === 2);
  });

  it('of a vApp template is an archive, too', async () => {
    const template = await backUp('vapp-template');
    const { status, headers, body } = await ask(`/api/v1/restore-points/${template.id}/export?format=ova`);
    expect(status).toBe(200);
    expect(headers.get('content-disposition')).toContain(`${template.vappName}.ova`);
    const [descriptor, ...others] = await untar(body);
    expect(others).toHaveLength(template.vms.flatMap((vm) => vm.disks).length + 1);
    const systems =
      parseXml(descriptor?.bytes.toString() ?? '')
        .child('VirtualSystemCollection')
        ?.childrenNamed('VirtualSystem') ?? [];
    expect(systems.map((system) => system.attribute('id'))).toEqual(template.vms.map(({ name }) => name));
  });

  it('of a medium is the medium, by its own name', async () => {
    const media = await backUp('media');
    const { status, headers, body } = await ask(`/api/v1/restore-points/${media.id}/export`);
    expect(status).toBe(200);
    expect(headers.get('content-disposition')).toContain(media.vappName);
    const { medium } = await stored.content(media);
    expect(body).toHaveLength(medium?.sizeBytes as number);
    expect(createHash('sha256').update(body).digest('hex')).toBe(medium?.sha256);
    const byDisk = await ask(`/api/v1/restore-points/${media.id}/disks/${medium?.diskId}/export`, { range: 'bytes=-100' });
    expect(byDisk.body.equals(body.subarray(-100))).toBe(true);
  });

  it('that meets damage is cut, and written down once by name', async () => {
    const before = linesWith('export failed').length;
    const answer = await begin(ovaPath());
    const undo = await damageEveryPack(world.repositoryDir);
    try {
      const received = (async () => {
        let bytes = 0;
        for await (const piece of answer) bytes += (piece as Buffer).length;
        return bytes;
      })();
      await expect(received).rejects.toThrow('aborted');
      await eventually('the failure is written down', () => linesWith('export failed').length > before);
      const failures = linesWith('export failed').slice(before);
      expect(failures).toHaveLength(1);
      expect(failures[0]).toMatchObject({
        level: 50,
        vapp: 'shop',
        code: 'CHUNK_DAMAGED',
        reason: expect.stringMatching(/chunk \d+ of disk ".*", in pack|damaged/),
      });

      // Before the first byte there is an answer to be given.
      let refused: Answer | undefined;
      for (let at = 0; at < disk.capacityBytes && refused === undefined; at += disk.chunkBytes) {
        const one = await ask(pathOf('raw'), { range: `bytes=${at}-${at}` });
        if (one.status !== 206) refused = one;
      }
      expect(refused?.status).toBe(422);
      expect(refused?.headers.get('content-disposition')).toBeNull();
      expect(JSON.parse(refused?.body.toString() ?? '')).toMatchObject({ code: 'CHUNK_DAMAGED' });
    } finally {
      await undo();
    }
  });
});

async function untar(bytes: Buffer): Promise<{ name: string; bytes: Buffer }[]> {
  const files: { name: string; bytes: Buffer }[] = [];
  const archive = Readable.from([bytes]).pipe(extract());
  for await (const entry of archive) {
    const pieces: Buffer[] = [];
    for await (const piece of entry) pieces.push(piece as Buffer);
    files.push({ name: entry.header.name, bytes: Buffer.concat(pieces) });
  }
  return files;
}

function itemsOf(system: XmlElement): XmlElement[] {
  return system.child('VirtualHardwareSection')?.childrenNamed('Item') ?? [];
}

function diskItem(system: XmlElement, label: string): XmlElement {
  const found = itemsOf(system).find((item) => item.textAt('ElementName') === label);
  if (found === undefined) throw new Error(`no item for ${label}`);
  return found;
}

function fileOf(envelope: XmlElement, item: XmlElement): string | undefined {
  const diskId = item.textAt('HostResource')?.replace('ovf:/disk/', '');
  const disk = envelope
    .child('DiskSection')
    ?.childrenNamed('Disk')
    .find((each) => each.attribute('diskId') === diskId);
  const file = envelope
    .child('References')
    ?.childrenNamed('File')
    .find((each) => each.attribute('id') === disk?.attribute('fileRef'));
  return file?.attribute('href');
}
