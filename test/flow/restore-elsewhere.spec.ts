import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RestorePointRow } from '../../src/catalog/index.js';
import type { RunView } from '../../src/jobs/index.js';
import type { PlanItem, RestorePlanView } from '../../src/restore/plan-types.js';
import type { VcdClient } from '../../src/vcd/index.js';
import { VsphereClient } from '../../src/vsphere/index.js';
import { connectProvider } from '../harness/provider-client.js';
import { leanEverything } from './lean-everything.js';
import { assertNothingLeft } from './nothing-left.js';
import { World } from './world.js';

interface Vdc {
  id: string;
  name: string;
  organizationId: string;
}

/** Standalone VMs as standalone VMs, and vApps into another VDC or another organization. */
describe('what comes back in another shape or elsewhere', () => {
  let world: World;
  let vcd: VcdClient;
  let vsphere: VsphereClient;
  let shop: RestorePointRow;
  let lone: RestorePointRow;
  let vdcs: Vdc[];

  beforeAll(async () => {
    world = await World.start({ seed: leanEverything() });
    await world.register();
    vcd = await connectProvider(world.simulator);
    const { vcenter } = world.simulator.description;
    vsphere = await VsphereClient.connect({ ...vcenter, trust: { thumbprint: vcenter.thumbprintSha1 } });
    for (const name of ['shop', 'lone']) await world.control.checkpoint(`${name}-before`, name);
    shop = await world.backUp('shop');
    lone = await world.backUp('lone');
    vdcs = (await world.api.get<{ items: Vdc[] }>('/api/v1/vdcs')).items;
  }, 120_000);
  afterAll(async () => {
    await vsphere?.close();
    await vcd?.close();
    await world?.close();
  });

  const plan = (request: Record<string, unknown>) => world.api.post<RestorePlanView>('/api/v1/restores/plan', request);
  const itemOf = (view: RestorePlanView, attribute: string): PlanItem | undefined =>
    view.items.find((item) => item.attribute === attribute);
  const restore = async (request: Record<string, unknown>): Promise<RunView> => {
    const run = await world.restore(request);
    expect(run.error).toBeNull();
    expect(['succeeded', 'warning']).toContain(run.state);
    return run;
  };
  const vdcNamed = (name: string): Vdc => {
    const found = vdcs.find((vdc) => vdc.name === name);
    if (found === undefined) throw new Error(`no VDC "${name}" in the inventory`);
    return found;
  };
  const differingDisks = async (checkpoint: string, name: string, count: number) => {
    const { disks } = await world.control.compare(checkpoint, name, { ignoreName: true });
    expect(disks).toHaveLength(count);
    return disks.filter((disk) => disk.differingBytes !== 0 || disk.fileSystem === 'damaged');
  };
  const hrefOf = async (name: string): Promise<string> => {
    for await (const vapp of vcd.vapps(`name==${name}`)) return vapp.href;
    throw new Error(`${name} is gone`);
  };
  const captureOf = (run: RunView) => vcd.captureVapp(String(run.result?.vappHref));
  /** Where the vApp stands at the end, in the words of the comparison. */
  const differencesOf = (run: RunView) =>
    ((run.result?.differences ?? []) as { path: string; why: string | null }[]).map(({ path, why }) => ({ path, why }));

  it('a standalone VM that is gone is a standalone VM again, under its id here', { timeout: 120_000 }, async () => {
    const { vms } = await vcd.captureVapp(await hrefOf('lone'));
    const captured = await vsphere.readVm(vms[0]?.vim.vmMoRef ?? '');
    await vcd.deleteVm(vms[0]?.href ?? '');
    const request = { restorePointId: lone.id, mode: 'missing-vapp' };

    // Taken back into vCenter's inventory by somebody, behind VCD's back.
    const placement = { folderMoRef: '', resourcePoolMoRef: captured.resourcePoolMoRef ?? '', datastoreName: 'san-01' };
    placement.folderMoRef = (await vsphere.placementOptions(placement.resourcePoolMoRef)).vmFolderMoRef;
    const stray = await vsphere.createVm(captured.configXml, 'stray', placement, { keepIdentity: true });
    expect(itemOf(await plan(request), 'vms.lone.instanceUuid')).toMatchObject({
      conformity: 'not-permitted',
      captured: captured.instanceUuid,
      explanation: expect.stringContaining(stray),
    });
    await vsphere.destroyVm(stray);

    const view = await plan(request);
    expect(itemOf(view, 'vms.lone.instanceUuid')).toBeUndefined();
    expect(view).toMatchObject({ canStart: true, vappName: 'lone' });
    expect(itemOf(view, 'kind')).toMatchObject({ conformity: 'fits', choice: { field: 'standalone', chosen: 'vm' } });
    const run = await restore(request);
    expect(differencesOf(run)).toEqual([]);
    const back = await captureOf(run);
    expect(back).toMatchObject({ kind: 'standalone-vm', owner: { name: 'olivia' }, vms: [{ name: 'lone', localId: 'lone-local' }] });
    expect(await differingDisks('lone-before', back.name, 1)).toEqual([]);
    const { attributes } = await world.control.compare('lone-before', back.name, { ignoreName: true });
    expect(attributes).toEqual([]);
    await assertNothingLeft(world);
    const inventory = await world.api.get<{ items: { id: string }[] }>('/api/v1/vapps?kind=standalone-vm&name=lone');
    expect(inventory.items.map(({ id }) => id)).toEqual([lone.vappId]);
  });

  it('a copy of it stands alone too, or in a vApp where the request says so; a name is taken once', { timeout: 120_000 }, async () => {
    const taken = await plan({ restorePointId: lone.id, mode: 'copy', name: 'lone' });
    expect(itemOf(taken, 'name')).toMatchObject({ conformity: 'not-permitted', needsChoice: true });
    const copy = await captureOf(await restore({ restorePointId: lone.id, mode: 'copy', name: 'lone-copy' }));
    expect(copy).toMatchObject({ kind: 'standalone-vm', vms: [{ name: 'lone-copy' }] });
    const request = { restorePointId: lone.id, mode: 'copy', name: 'lone-vapp', choices: { standalone: 'vapp' } };
    const run = await restore(request);
    expect(differencesOf(run)).toMatchObject([
      { path: 'kind', why: expect.stringContaining('comes back as the VM of a vApp') },
      { path: 'vms.lone.nics.0.ipAddress', why: expect.stringContaining('is in use by VM "lone"') },
    ]);
    const vapp = await captureOf(run);
    expect(vapp).toMatchObject({ kind: 'vapp', name: 'lone-vapp', vms: [{ name: 'lone' }] });
    expect(await differingDisks('lone-before', 'lone-vapp', 1)).toEqual([]);
    await assertNothingLeft(world);
  });

  it('leaves no standalone VM where the restore fails after the import', { timeout: 120_000 }, async () => {
    await world.control.addFault({
      door: 'vcd',
      method: 'POST',
      path: '/action/reconfigureVm',
      effect: 'error',
      status: 400,
      minorErrorCode: 'BAD_REQUEST',
      message: 'No.',
    });
    const run = await world.restore({ restorePointId: lone.id, mode: 'copy', name: 'lone-failed' });
    await world.control.clearFaults();
    expect(run.state).toBe('failed');
    const left = [];
    for await (const vm of vcd.vms('name==lone-failed*')) left.push(vm.name);
    expect(left).toEqual([]);
    await assertNothingLeft(world);
  });

  it('into another VDC of the organization: mapped networks, its storage profiles, a named disk there', { timeout: 120_000 }, async () => {
    const request = {
      restorePointId: shop.id,
      mode: 'copy',
      name: 'shop-test',
      vdcId: vdcNamed('acme-test').id,
      choices: { networks: { 'acme-frontend': 'acme-test-net', 'shop-back': 'isolated' }, ipAddresses: 'pool' },
    };
    const view = await plan(request);
    expect(view).toMatchObject({ canStart: true, organizationName: 'acme', vdcName: 'acme-test' });
    expect(itemOf(view, 'vms.web.storageProfile')).toMatchObject({ conformity: 'missing', captured: 'gold', planned: 'silver' });
    expect(itemOf(view, 'vms.web.placementPolicy')).toMatchObject({ conformity: 'missing', captured: 'rack-a' });
    expect(itemOf(view, 'namedDisks.orders.storageProfile')).toMatchObject({ conformity: 'fits' });
    const run = await restore(request);
    const restored = await captureOf(run);
    expect(restored).toMatchObject({ vdc: { name: 'acme-test' }, organization: { name: 'acme' }, owner: { name: 'olivia' } });
    expect(restored.networks.map(({ name, parent }) => [name, parent?.name]).sort()).toEqual([
      ['acme-frontend', 'acme-test-net'],
      ['shop-back', undefined],
    ]);
    expect(restored.vms.map((vm) => vm.storageProfile?.name)).toEqual(['silver', 'silver']);
    expect(restored.namedDisks).toMatchObject([{ name: 'orders', storageProfile: { name: 'silver' }, owner: { name: 'olivia' } }]);
    expect(restored.affinityRules).toMatchObject([{ name: 'together' }]);
    expect(await differingDisks('shop-before', 'shop-test', 4)).toEqual([]);
    // Whatever differs was said before.
    expect(differencesOf(run).filter(({ why }) => why === null)).toEqual([]);
    await assertNothingLeft(world);
  });

  it('into another organization: its owner, and no rights for people it does not have', { timeout: 120_000 }, async () => {
    const request = {
      restorePointId: shop.id,
      mode: 'copy',
      name: 'shop-globex',
      organizationId: vdcNamed('globex-main').organizationId,
      choices: { owner: 'gina', networks: { 'acme-frontend': 'globex-lan', 'shop-back': 'globex-lan' }, ipAddresses: 'pool' },
    };
    const view = await plan(request);
    expect(view).toMatchObject({ canStart: true, organizationName: 'globex', vdcName: 'globex-main' });
    expect(itemOf(view, 'owner')).toMatchObject({ conformity: 'changed', planned: 'gina' });
    expect(itemOf(view, 'access.grants.raj')).toMatchObject({ conformity: 'missing' });
    expect(itemOf(view, 'namedDisks.orders.owner')).toMatchObject({ conformity: 'missing', captured: 'olivia' });
    const run = await restore(request);
    const restored = await captureOf(run);
    expect(restored).toMatchObject({ organization: { name: 'globex' }, owner: { name: 'gina' }, access: { grants: [] } });
    expect(restored.networks.map(({ parent }) => parent?.name)).toEqual(['globex-lan', 'globex-lan']);
    expect(restored.namedDisks).toHaveLength(1);
    expect(await differingDisks('shop-before', 'shop-globex', 4)).toEqual([]);
    expect(differencesOf(run).filter(({ why }) => why === null)).toEqual([]);
    await assertNothingLeft(world);
  });
});
