import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { RestorePointRow, SourceKind, VappDetail } from '../../src/catalog/index.js';
import type { RunView } from '../../src/jobs/index.js';
import type { MediaCapture, VappCapture, VcdClient } from '../../src/vcd/index.js';
import { connectProvider } from '../harness/provider-client.js';
import { seededBytes } from '../simulator/guest/random-bytes.js';
import { everythingSeed } from '../simulator/seeds/everything.js';
import type { Seed } from '../simulator/seeds/schema.js';
import { assertNothingLeft } from './nothing-left.js';
import { StoredPoints } from './stored-points.js';
import { World } from './world.js';

const BLOCK_BYTES = 65_536;

interface ScopeBackups {
  runs: RunView[];
  skipped: { name: string; reason: string }[];
  warnings: string[];
}

/** One of everything, and a disk that VMs may share. */
function seed(): Seed {
  const everything = everythingSeed();
  const orders = everything.disks.find(({ name }) => name === 'orders');
  if (orders === undefined) throw new Error('the seed has no named disk "orders"');
  const attachedTo = { vapp: 'golden', vm: 'golden-b', busNumber: 1, unitNumber: 2 };
  return {
    ...everything,
    disks: [...everything.disks, { ...orders, name: 'quorum', sharingType: 'DiskSharing', attachedTo }],
    // A snapshot of the tenant's would look like one that we left.
    snapshots: [],
  };
}

describe('backups of what is not a vApp', () => {
  let world: World;
  let cloudId: string;
  let stored: StoredPoints;
  let vcd: VcdClient;

  beforeAll(async () => {
    world = await World.start({ seed: seed() });
    cloudId = await world.register();
    stored = await StoredPoints.open(world);
    vcd = await connectProvider(world.simulator);
  });
  afterEach(() => world.control.clearFaults());
  afterAll(async () => {
    await vcd?.close();
    await world?.close();
  });

  const find = async (kind: SourceKind, name: string) => {
    const { items } = await world.api.get<{ items: { id: string; name: string }[] }>(`/api/v1/vapps?kind=${kind}&name=${name}`);
    const found = items.find((item) => item.name === name);
    if (found === undefined) throw new Error(`No ${kind} "${name}" in the inventory`);
    return world.api.get<VappDetail>(`/api/v1/vapps/${found.id}`);
  };
  const start = async (kind: SourceKind, name: string, settings: Record<string, unknown> = {}) =>
    world.api.post<RunView>('/api/v1/backups', { vappId: (await find(kind, name)).id, settings });
  const pointOf = (run: RunView) => world.api.get<RestorePointRow>(`/api/v1/restore-points/${String(run.result?.restorePointId)}`);
  const backUp = async (kind: SourceKind, name: string, settings: Record<string, unknown> = {}) => {
    const run = await world.finish(await start(kind, name, settings));
    expect(run.error).toBeNull();
    return { run, point: await pointOf(run) };
  };
  /** The bytes of every disk, as vSphere has them now. */
  const expectStoredAsInTheCloud = async (point: RestorePointRow) => {
    const { vms } = await stored.content(point);
    for (const { moRef, disks } of vms) {
      for (const [i, disk] of disks.entries()) {
        const answer = await fetch(`${world.simulator.description.control.url}/guests/${moRef}/hash?disk=${i}`);
        expect(await stored.sha256(point, disk)).toBe(((await answer.json()) as { sha256: string }).sha256);
      }
    }
  };

  describe('a vApp template', () => {
    it('is copied VM by VM, in full and then what changed, without maintenance mode', { timeout: 60_000 }, async () => {
      const { run, point } = await backUp('vapp-template', 'pair');
      expect(run).toMatchObject({ subject: 'vApp template "pair"', warnings: [], result: { kind: 'full', vms: 2 } });
      expect(run.steps.map(({ name }) => name)).not.toContain('Enter maintenance mode');
      expect(point).toMatchObject({ sourceKind: 'vapp-template', vappName: 'pair', vmCount: 2, kind: 'full' });
      await expectStoredAsInTheCloud(point);

      const template = await find('vapp-template', 'pair');
      const written = template.vms.find(({ name }) => name === 'golden-b')?.moRef as string;
      await world.control.guestWrite(written, { disk: 0, seed: 'patched', scatteredBlocks: 3 });
      const next = await backUp('vapp-template', 'pair');
      expect(next.point).toMatchObject({ kind: 'incremental', vmCount: 2 });
      expect(Object.fromEntries(next.point.vms.map((vm) => [vm.name, vm.disks[0]?.changedBytes]))).toEqual({
        'golden-a': 0,
        'golden-b': 3 * BLOCK_BYTES,
      });
      await expectStoredAsInTheCloud(next.point);
      await assertNothingLeft(world);
    });

    it('keeps its description, and where its VMs were', async () => {
      const { point } = await backUp('vapp-template', 'pair', { exclude: { vms: ['golden-b'] } });
      const content = await stored.content(point);
      expect(content).toMatchObject({
        sourceKind: 'vapp-template',
        excludedVms: [{ name: 'golden-b' }],
        vms: [
          {
            name: 'golden-a',
            resourcePoolMoRef: expect.stringMatching(/^resgroup-|^rp-|^resource/),
            folderMoRef: expect.stringMatching(/^group-/),
            hostMoRef: expect.stringMatching(/^host-/),
            datastores: [{ moRef: expect.stringMatching(/^datastore-/), name: 'san-01' }],
          },
        ],
      });
      expect(content).not.toHaveProperty('maintenance');
      expect(await stored.capture<VappCapture>(point)).toMatchObject({
        kind: 'vapp-template',
        name: 'pair',
        description: 'Two VMs',
        goldMaster: true,
        catalogEntry: { catalog: { name: 'acme-images' }, item: { name: 'pair' } },
        metadata: [{ key: 'build', type: 'MetadataNumberValue', value: '42' }],
      });
    });

    it('that is changed under the run is captured again', { timeout: 60_000 }, async () => {
      const { href } = await find('vapp-template', 'single');
      await world.control.addFault({ door: 'vix', method: 'read', effect: 'delay', delayMs: 2_500, times: 0 });
      const run = await start('vapp-template', 'single');
      await world.reach(run, 'Copy the disks');
      await vcd.writeMetadata(href, [note('edited')]);
      const end = await world.finish(run);
      expect(end.error).toBeNull();
      // Only the description: what was snapshotted is still what the template has.
      expect(end.steps.filter(({ name }) => name === 'Copy the disks')).toHaveLength(1);
      expect((await stored.capture<VappCapture>(await pointOf(end))).metadata).toEqual([expect.objectContaining({ value: 'edited' })]);
      await assertNothingLeft(world);
    });
  });

  describe('a medium', () => {
    const bytes = () => seededBytes('acme-images/installer', 3 * 2 ** 20 + 2048);

    it('is stored byte by byte, and adds none the second time', async () => {
      const { run, point } = await backUp('media', 'installer');
      const sizeBytes = bytes().length;
      const sha256 = createHash('sha256').update(bytes()).digest('hex');
      expect(run).toMatchObject({ subject: 'medium "installer"', warnings: [], result: { kind: 'full', sizeBytes, sha256 } });
      expect(run.progress).toEqual({ installer: { doneBytes: sizeBytes, totalBytes: sizeBytes } });
      expect(point).toMatchObject({ sourceKind: 'media', vmCount: 0, vms: [], capacityBytes: sizeBytes, readBytes: sizeBytes });
      expect(point.newBytes).toBe(sizeBytes);
      const { medium, vms } = await stored.content(point);
      expect(vms).toEqual([]);
      expect(medium).toMatchObject({ sizeBytes, sha256 });
      expect(await stored.sha256(point, medium as NonNullable<typeof medium>, sizeBytes)).toBe(sha256);
      expect(await stored.capture<MediaCapture>(point)).toMatchObject({
        kind: 'media',
        name: 'installer',
        imageType: 'iso',
        description: 'Installation disc',
        catalogEntry: { catalog: { name: 'acme-images' } },
        metadata: [{ key: 'release', value: '9.1' }],
      });
      await assertNothingLeft(world);

      const again = await backUp('media', 'installer');
      expect(again.point).toMatchObject({ readBytes: sizeBytes, newBytes: 0, storedBytes: 0 });
      const second = (await stored.content(again.point)).medium;
      expect(second).toMatchObject({ diskId: medium?.diskId, indexId: medium?.indexId });
      await assertNothingLeft(world);
    });

    it('that is edited while it is downloaded is described as it is afterwards', { timeout: 60_000 }, async () => {
      const { href } = await find('media', 'installer');
      const capture = await vcd.captureMedia(href);
      // Asked again and again, until there is an answer.
      await world.control.addFault({ door: 'vcd', method: 'GET', path: '/transfer/', effect: 'error', status: 503, count: 0 });
      const run = await start('media', 'installer');
      await world.reach(run, 'Copy the medium');
      await vcd.writeMetadata(href, [...capture.metadata, note('edited')]);
      await world.control.clearFaults();
      const end = await world.finish(run);
      expect(end.error).toBeNull();
      expect((await stored.capture<MediaCapture>(await pointOf(end))).metadata).toHaveLength(2);
      await assertNothingLeft(world);
    });

    it('that somebody else fetches just now stays ready for them', async () => {
      const { href } = await find('media', 'installer');
      const { body } = await vcd.downloadMedia(href);
      await backUp('media', 'installer');
      let fetchedBytes = 0;
      for await (const piece of body) fetchedBytes += piece.length;
      expect(fetchedBytes).toBe(bytes().length);
      await vcd.endMediaDownload(href);
      await assertNothingLeft(world);
    });

    it('that goes away under the run fails it, and leaves neither a restore point nor a download', async () => {
      const before = (await world.restorePoints()).length;
      await world.control.addFault({ door: 'vcd', method: 'GET', path: '/transfer/', effect: 'error', status: 404, count: 0 });
      const run = await world.finish(await start('media', 'installer'));
      expect(run.state).toBe('failed');
      expect(run.error?.message).toContain('installer');
      expect(await world.restorePoints()).toHaveLength(before);
      await assertNothingLeft(world);
    });
  });

  describe('a named disk', () => {
    it('is a disk of its VM, known as what it is', { timeout: 60_000 }, async () => {
      const { run, point } = await backUp('vapp', 'shop');
      expect(run.warnings).toEqual([]);
      const { vms } = await stored.content(point);
      const { namedDisks, vms: captured } = await stored.capture<VappCapture>(point);
      expect(namedDisks).toMatchObject([
        {
          name: 'orders',
          sizeMib: 48,
          busType: '6',
          busSubType: 'VirtualSCSI',
          storageProfile: { name: 'silver' },
          owner: { name: 'olivia' },
          attachments: [{ vmId: captured.find(({ name }) => name === 'db')?.id, busNumber: 0, unitNumber: 3 }],
          metadata: [{ key: 'owner-team' }, { key: 'placement', domain: 'SYSTEM' }],
        },
      ]);
      const named = vms.flatMap((vm) =>
        vm.disks.flatMap(({ namedDiskId, unitNumber }) => (namedDiskId ? [{ vm: vm.name, namedDiskId, unitNumber }] : [])),
      );
      expect(named).toEqual([{ vm: 'db', namedDiskId: namedDisks?.[0]?.id, unitNumber: 3 }]);
      await expectStoredAsInTheCloud(point);
    });

    it.each(['by name', 'by id'])('is left out on request, %s', async (how) => {
      const { items } = await world.api.get<{ items: { id: string; name: string }[] }>('/api/v1/named-disks');
      const id = items.find(({ name }) => name === 'orders')?.id;
      const disk = how === 'by name' ? 'ord*' : id;
      const { run, point } = await backUp('vapp', 'shop', { exclude: { vms: ['web'], disks: [{ vm: '*', disk }] } });
      expect(run.warnings).toEqual([]);
      const { vms } = await stored.content(point);
      expect(vms.map(({ name, disks }) => [name, disks.length])).toEqual([['db', 1]]);
      expect(vms[0]?.excludedDisks).toMatchObject([{ reason: 'excluded by request' }]);
      await assertNothingLeft(world);
    });

    it('that VMs share is left out, with its reason', async () => {
      const { run, point } = await backUp('vapp', 'golden');
      const { vms } = await stored.content(point);
      const { excludedDisks, disks } = vms.find(({ name }) => name === 'golden-b') ?? {};
      expect(disks).toHaveLength(1);
      expect(excludedDisks).toMatchObject([{ reason: expect.stringMatching(/"quorum".*share/) }]);
      expect(run.warnings).toEqual([expect.stringMatching(/golden-b.*"quorum"/)]);
      await assertNothingLeft(world);
    });
  });

  it('by a scope that names a catalog, or items of it', { timeout: 60_000 }, async () => {
    const ask = (scope: Record<string, unknown>) =>
      world.api.post<ScopeBackups>('/api/v1/backups', { scope: { cloudId, ...scope }, settings: {} });
    const all = await ask({ vcdCatalogs: ['acme-images', 'nobody-images'], exclude: { vappNames: ['single'] } });
    expect(all.runs.map(({ subject }) => subject)).toEqual(['medium "installer"', 'vApp template "pair"']);
    expect(all.skipped).toEqual([{ name: 'single', reason: expect.stringContaining('excluded') }]);
    expect(all.warnings).toEqual([expect.stringContaining('nobody-images')]);
    for (const run of all.runs) expect((await world.finish(run)).error).toBeNull();

    const catalog = (await find('media', 'installer')).vcdCatalogId;
    const items = await ask({ vcdCatalogs: [catalog], vappNames: ['inst*'], kinds: ['vapp-template', 'media'] });
    expect(items.runs.map(({ subject }) => subject)).toEqual(['medium "installer"']);
    for (const run of items.runs) expect((await world.finish(run)).error).toBeNull();
    await expect(ask({ kinds: ['vapp-template', 'media'], exclude: { vcdCatalogs: ['acme-*'] } })).resolves.toMatchObject({ runs: [] });
    await assertNothingLeft(world);
  });
});

function note(value: string) {
  return { key: 'note', type: 'MetadataStringValue', value, domain: 'GENERAL', visibility: 'READWRITE' } as const;
}
