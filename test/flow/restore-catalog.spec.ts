import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { CloudResourceView, Page, RestorePointRow, SourceKind, VappDetail } from '../../src/catalog/index.js';
import type { RunView } from '../../src/jobs/index.js';
import type { PlanItem, RestorePlanView } from '../../src/restore/plan-types.js';
import type { VappCapture, VcdClient } from '../../src/vcd/index.js';
import { connectProvider } from '../harness/provider-client.js';
import { seededBytes } from '../simulator/guest/random-bytes.js';
import { everythingSeed } from '../simulator/seeds/everything.js';
import type { Seed } from '../simulator/seeds/schema.js';
import { assertNothingLeft } from './nothing-left.js';
import { RawVcd } from './raw-vcd.js';
import { World } from './world.js';

const MIB = 2 ** 20;

/** What the catalogs are made of, small, with two disks in one of a template's VMs: what a template of one disk would not show. */
function seed(): Seed {
  const everything = everythingSeed();
  const vapps = everything.vapps.filter(({ name }) => name !== 'shop');
  const golden = vapps.find(({ name }) => name === 'golden')?.vms[1];
  const [disk] = golden?.disks ?? [];
  if (golden === undefined || disk === undefined) throw new Error('the seed has no vApp "golden" of two VMs');
  golden.disks.push({ ...disk, storageProfile: 'silver' });
  for (const each of vapps.flatMap(({ vms }) => vms.flatMap(({ disks }) => disks)))
    Object.assign(each, { capacityBytes: 16 * MIB + 512, dataBytes: 2 * MIB });
  const [images] = everything.catalogs;
  if (images === undefined) throw new Error('the seed has no catalog');
  const mirror = { ...images, name: 'mirror', subscribedTo: 'https://elsewhere.example/vcsp/lib/1', templates: [], media: [] };
  return { ...everything, vapps, catalogs: [...everything.catalogs, mirror], disks: [], affinityRules: [], instances: [], snapshots: [] };
}

interface CloudState {
  vapps: { name: string; vms: { name: string; moRef: string }[] }[];
  vappTemplates: { name: string; vms: { name: string; moRef: string }[] }[];
  media: { name: string }[];
}

describe('restores into VCD catalogs', () => {
  let world: World;
  let vcd: VcdClient;

  beforeAll(async () => {
    world = await World.start({ seed: seed() });
    await world.register();
    vcd = await connectProvider(world.simulator);
  });
  afterEach(() => world.control.clearFaults());
  afterAll(async () => {
    await vcd?.close();
    await world?.close();
  });

  const find = async (kind: SourceKind, name: string) => {
    const { items } = await world.api.get<Page<VappDetail>>(`/api/v1/vapps?kind=${kind}&name=${name}`);
    const found = items.find((item) => item.name === name);
    if (found === undefined) throw new Error(`No ${kind} "${name}" in the inventory`);
    return found;
  };
  const backUp = async (kind: SourceKind, name: string): Promise<RestorePointRow> => {
    const { id } = await find(kind, name);
    const run = await world.finish(await world.api.post<RunView>('/api/v1/backups', { vappId: id, settings: {} }));
    expect(run.error).toBeNull();
    return world.api.get<RestorePointRow>(`/api/v1/restore-points/${String(run.result?.restorePointId)}`);
  };
  const catalogId = async (name: string) => {
    const { items } = await world.api.get<Page<CloudResourceView>>('/api/v1/resources?kind=catalog');
    return items.find((item) => item.name === name)?.id;
  };
  const plan = (request: Record<string, unknown>) => world.api.post<RestorePlanView>('/api/v1/restores/plan', request);
  const item = (view: RestorePlanView, attribute: string): PlanItem | undefined =>
    view.items.find((candidate) => candidate.attribute === attribute);
  const succeeded = (run: RunView): RunView & { result: Record<string, unknown> } => {
    expect(run.error).toBeNull();
    expect(['succeeded', 'warning']).toContain(run.state);
    return { ...run, result: run.result ?? {} };
  };

  describe('a vApp template', () => {
    let point: RestorePointRow;
    let before: VappCapture;
    let bytesBefore: Record<string, string>;

    beforeAll(async () => {
      const state = await world.control.state<CloudState>();
      bytesBefore = await bytesOf(state.vappTemplates.find(({ name }) => name === 'pair')?.vms);
      expect(Object.keys(bytesBefore)).toEqual(['golden-a/0', 'golden-b/0', 'golden-b/1']);
      before = await vcd.captureVappTemplate((await find('vapp-template', 'pair')).href);
      point = await backUp('vapp-template', 'pair');
    }, 60_000);

    /** What vSphere has of each disk. */
    async function bytesOf(vms: readonly { name: string; moRef: string }[] = []): Promise<Record<string, string>> {
      const hashes: [string, string][] = [];
      for (const { name, moRef } of [...vms].sort((a, b) => (a.name < b.name ? -1 : 1))) {
        for (let disk = 0; disk < (name === 'golden-b' ? 2 : 1); disk += 1) {
          const answer = await fetch(`${world.simulator.description.control.url}/guests/${moRef}/hash?disk=${disk}`);
          hashes.push([`${name}/${disk}`, ((await answer.json()) as { sha256: string }).sha256]);
        }
      }
      return Object.fromEntries(hashes);
    }
    const templates = async () => (await world.control.state<CloudState>()).vappTemplates;
    const vapps = async () => (await world.control.state<CloudState>()).vapps.map(({ name }) => name).sort();

    it('asks while its name is taken, and takes modes of vApps for what they are', async () => {
      const taken = await plan({ restorePointId: point.id, mode: 'template' });
      expect(taken).toMatchObject({ canStart: false, catalogName: 'acme-images', vappName: 'pair' });
      expect(item(taken, 'name')).toMatchObject({ needsChoice: true, choice: { field: 'existingItem' } });
      const run = await world.restore({ restorePointId: point.id, mode: 'template' });
      expect(run).toMatchObject({ subject: 'vApp template "pair"', state: 'failed', error: { code: 'NAME_TAKEN' } });
      await expect(plan({ restorePointId: point.id, mode: 'missing-vapp' })).rejects.toThrow(/vApp template "pair".*use mode template/);
      await expect(plan({ restorePointId: point.id, mode: 'template', powerOn: true })).rejects.toThrow(/takes no powerOn/);
      const keeping = plan({ restorePointId: point.id, mode: 'template', choices: { macAddresses: 'keep' } });
      await expect(keeping).rejects.toThrow(/takes no macAddresses "keep"/);
      await expect(plan({ restorePointId: point.id, mode: 'template', catalogId: 'urn:vcloud:catalog:x' })).rejects.toThrow(
        /"acme-images"/,
      );
      const mirrored = await plan({ restorePointId: point.id, mode: 'template', catalogId: await catalogId('mirror') });
      expect(item(mirrored, 'catalogEntry.catalog')).toMatchObject({ conformity: 'not-permitted', needsChoice: true });
      await assertNothingLeft(world);
    });

    it('comes back with every byte and attribute, and leaves no vApp behind', { timeout: 90_000 }, async () => {
      const vappsBefore = await vapps();
      await vcd.deleteTemplate(before.href);
      const planned = await plan({ restorePointId: point.id, mode: 'template' });
      expect(planned).toMatchObject({ canStart: true, vdcName: 'acme-production', vms: [{ action: 'build' }, { action: 'build' }] });
      expect(planned.items.filter(({ conformity }) => !['fits', 'changed'].includes(conformity))).toEqual([]);

      const { result, warnings } = succeeded(await world.restore({ restorePointId: point.id, mode: 'template' }));
      expect(warnings).toEqual([]);
      expect(result).toMatchObject({ templateName: 'pair', catalogName: 'acme-images', vms: 2, differences: [] });
      expect((result.comparison as unknown[]).length).toBeGreaterThan(40);
      const [restored] = (await templates()).filter(({ name }) => name.startsWith('pair'));
      expect(await bytesOf(restored?.vms)).toEqual(bytesBefore);
      expect(await vapps()).toEqual(vappsBefore);
      const now = await vcd.captureVappTemplate(String(result.templateHref));
      expect(now).toMatchObject({ name: 'pair', goldMaster: true, metadata: before.metadata, owner: { name: before.owner.name } });
      await assertNothingLeft(world);
    });

    it('keeps its history', { timeout: 60_000 }, async () => {
      const next = await backUp('vapp-template', 'pair');
      expect(next.vappId).toBe(point.vappId);
      expect(next.vms.map(({ vmId, name }) => [name, vmId]).sort()).toEqual(point.vms.map(({ vmId, name }) => [name, vmId]).sort());
      // The clones' disks are new to vSphere; their bytes are not new to the repository.
      expect(next.newBytes).toBe(0);
    });

    it('is instantiated with the same bytes', { timeout: 60_000 }, async () => {
      const raw = await RawVcd.connect(world.simulator.description.vcd);
      const { href } = await find('vapp-template', 'pair');
      await raw.instantiate(before.vdc.href, href, 'from-restored');
      const state = await world.control.state<CloudState>();
      expect(await bytesOf(state.vapps.find(({ name }) => name === 'from-restored')?.vms)).toEqual(bytesBefore);
    });

    it('takes the place of the one that is there, once it stands', { timeout: 90_000 }, async () => {
      const [old] = (await templates()).filter(({ name }) => name === 'pair');
      await world.control.guestWrite(String(old?.vms[0]?.moRef), { disk: 0, seed: 'spoilt', scatteredBlocks: 2 });
      const request = { restorePointId: point.id, mode: 'template', choices: { existingItem: 'replace' } };
      expect(item(await plan(request), 'existingItem')).toMatchObject({ conformity: 'changed', needsChoice: false });
      const { result } = succeeded(await world.restore(request));
      expect(result).toMatchObject({ templateName: 'pair', differences: [] });
      const named = (await templates()).filter(({ name }) => name.startsWith('pair'));
      expect(named).toHaveLength(1);
      expect(named[0]).toMatchObject({ name: 'pair' });
      expect(await bytesOf(named[0]?.vms)).toEqual(bytesBefore);
      await assertNothingLeft(world);
    });

    it('goes into the catalog of another organization under another name', { timeout: 90_000 }, async () => {
      const globex = await catalogId('globex-images');
      const request = { restorePointId: point.id, mode: 'template', catalogId: globex, name: 'pair-copy' };
      const planned = await plan(request);
      expect(planned).toMatchObject({ canStart: true, organizationName: 'globex', vdcName: 'globex-main', catalogName: 'globex-images' });
      expect(item(planned, 'owner')).toMatchObject({ conformity: 'missing' });
      expect(item(planned, 'networks.acme-backend.config.Configuration.ParentNetwork')).toMatchObject({ conformity: 'missing' });
      const { result } = succeeded(await world.restore(request));
      expect(result).toMatchObject({ templateName: 'pair-copy', catalogName: 'globex-images' });
      expect((result.differences as { why: string | null }[]).filter(({ why }) => why === null)).toEqual([]);
      const copy = (await templates()).find(({ name }) => name === 'pair-copy');
      expect(await bytesOf(copy?.vms)).toEqual(bytesBefore);
      // The original is there: the copy is another template, with a history of its own.
      expect((await backUp('vapp-template', 'pair')).vappId).toBe(point.vappId);
      await assertNothingLeft(world);
    });

    it('that cannot be captured leaves neither a template nor a vApp', { timeout: 60_000 }, async () => {
      const before = { vapps: await vapps(), templates: await templates() };
      const fault = {
        door: 'vcd',
        method: 'POST',
        path: '/captureVApp',
        effect: 'error',
        status: 400,
        minorErrorCode: 'BAD_REQUEST',
        message: 'No.',
      };
      await world.control.addFault({ ...fault, count: 1 });
      const run = await world.restore({ restorePointId: point.id, mode: 'template', name: 'pair-2' });
      expect(run.state).toBe('failed');
      expect(await vapps()).toEqual(before.vapps);
      expect(await templates()).toEqual(before.templates);
      await assertNothingLeft(world);
    });
  });

  describe('a medium', () => {
    const bytes = seededBytes('acme-images/installer', 3 * 2 ** 20 + 2048);
    let point: RestorePointRow;

    beforeAll(async () => {
      point = await backUp('media', 'installer');
    });

    async function download(mediaHref: string): Promise<Buffer> {
      const pieces: Buffer[] = [];
      for await (const piece of (await vcd.downloadMedia(mediaHref)).body) pieces.push(piece);
      await vcd.endMediaDownload(mediaHref);
      return Buffer.concat(pieces);
    }
    const media = async () => (await world.control.state<CloudState>()).media.map(({ name }) => name).sort();

    it('asks while its name is taken, and takes nothing of VMs', async () => {
      const taken = await plan({ restorePointId: point.id, mode: 'medium' });
      expect(taken).toMatchObject({ canStart: false, catalogName: 'acme-images', vdcName: 'acme-production', vms: [] });
      await expect(plan({ restorePointId: point.id, mode: 'medium', vms: ['x'] })).rejects.toThrow(/takes no vms/);
      await expect(plan({ restorePointId: point.id, mode: 'copy', name: 'x' })).rejects.toThrow(/use mode medium/);
      const run = await world.restore({ restorePointId: point.id, mode: 'medium' });
      expect(run).toMatchObject({ subject: 'medium "installer"', state: 'failed', error: { code: 'NAME_TAKEN' } });
    });

    it('comes back with every byte and attribute, and keeps its history', { timeout: 60_000 }, async () => {
      const before = await vcd.captureMedia((await find('media', 'installer')).href);
      await vcd.deleteMedia(before.href);
      const planned = await plan({ restorePointId: point.id, mode: 'medium' });
      expect(planned.canStart).toBe(true);
      expect(planned.items.filter(({ conformity }) => conformity !== 'fits')).toEqual([]);
      expect(item(planned, 'storageProfile')).toMatchObject({ captured: 'silver', planned: 'silver' });

      const { result, warnings } = succeeded(await world.restore({ restorePointId: point.id, mode: 'medium' }));
      expect(warnings).toEqual([]);
      expect(result).toMatchObject({ mediaName: 'installer', differences: [], writtenBytes: bytes.length });
      expect((await download(String(result.mediaHref))).equals(bytes)).toBe(true);
      expect(await media()).toEqual(['installer']);
      const next = await backUp('media', 'installer');
      expect(next).toMatchObject({ vappId: point.vappId, newBytes: 0 });
      await assertNothingLeft(world);
    });

    it('takes the place of the one that is there', { timeout: 60_000 }, async () => {
      const old = await find('media', 'installer');
      const request = { restorePointId: point.id, mode: 'medium', choices: { existingItem: 'replace' } };
      const { result } = succeeded(await world.restore(request));
      expect(result.mediaHref).not.toBe(old.href);
      expect(await vcd.captureMedia(String(result.mediaHref))).toMatchObject({ name: 'installer', description: 'Installation disc' });
      expect(await media()).toEqual(['installer']);
      await assertNothingLeft(world);
    });

    it('goes into another catalog, over a connection that breaks', { timeout: 60_000 }, async () => {
      await world.control.addFault({ door: 'vcd', method: 'PUT', path: '/transfer/', effect: 'drop', afterBytes: MIB, count: 2 });
      const request = { restorePointId: point.id, mode: 'medium', catalogId: await catalogId('globex-images'), name: 'disc' };
      expect(await plan(request)).toMatchObject({ canStart: true, organizationName: 'globex', vdcName: '', catalogName: 'globex-images' });
      const { result } = succeeded(await world.restore(request));
      const left = await fetch(`${world.simulator.description.control.url}/faults`);
      expect(await left.json()).toEqual([]);
      expect((result.differences as { why: string | null }[]).filter(({ why }) => why === null)).toEqual([]);
      expect((await download(String(result.mediaHref))).equals(bytes)).toBe(true);
      await assertNothingLeft(world);
    });

    it('that cannot be sent leaves nothing', { timeout: 60_000 }, async () => {
      const before = await media();
      await world.control.addFault({
        door: 'vcd',
        method: 'PUT',
        path: '/transfer/',
        effect: 'error',
        status: 400,
        minorErrorCode: 'BAD_REQUEST',
        message: 'No.',
        count: 0,
      });
      const run = await world.restore({ restorePointId: point.id, mode: 'medium', name: 'disc-2' });
      expect(run.state).toBe('failed');
      expect(await media()).toEqual(before);
      await assertNothingLeft(world);
    });
  });
});
