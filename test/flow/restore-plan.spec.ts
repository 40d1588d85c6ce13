import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RestorePointRow } from '../../src/catalog/index.js';
import type { PlanItem, RestorePlanView } from '../../src/restore/plan-types.js';
import { World } from './world.js';

interface LoggedRequest {
  number: number;
  door: string;
  method: string;
  path: string;
}

/** POST /restores/plan, through the whole service and the simulated cloud: it tells everything and touches nothing. */
describe('the plan of a restore', () => {
  let world: World;
  let point: RestorePointRow;

  beforeAll(async () => {
    world = await World.start();
    await world.register();
    point = await world.backUp('shop');
  }, 120_000);
  afterAll(() => world?.close());

  const plan = (request: Record<string, unknown>) =>
    world.api.post<RestorePlanView>('/api/v1/restores/plan', { restorePointId: point.id, ...request });
  const item = (view: RestorePlanView, attribute: string): PlanItem | undefined =>
    view.items.find((candidate) => candidate.attribute === attribute);

  const requests = async (since: number): Promise<LoggedRequest[]> => {
    const response = await fetch(`${world.simulator.description.control.url}/requests?since=${since}`);
    return ((await response.json()) as { vcd: LoggedRequest[] }).vcd;
  };

  /** All doors while `work` runs: VCD is only read, and vCenter's VMs are the same afterwards. */
  async function onlyReads<T>(work: () => Promise<T>): Promise<T> {
    const machines = () => structuredClone(world.simulator.vsphere.vms());
    const before = (await requests(0)).at(-1)?.number ?? 0;
    const machinesBefore = machines();
    const result = await work();
    expect(machines()).toEqual(machinesBefore);
    const seen = await requests(before);
    expect(seen.some((request) => request.door === 'vcd')).toBe(true);
    const writes = seen.filter((request) => request.door === 'vcd' && request.method !== 'GET' && !request.path.includes('/sessions'));
    expect(writes).toEqual([]);
    return result;
  }

  it('finds a name taken where the vApp is still there, and cannot start', async () => {
    const view = await onlyReads(() => plan({ mode: 'missing-vapp' }));
    expect(view.canStart).toBe(false);
    expect(item(view, 'name')).toMatchObject({ conformity: 'not-permitted', needsChoice: true, choice: { field: 'name' } });
  });

  it('plans a copy with every captured attribute, and new MAC addresses', async () => {
    const view = await onlyReads(() => plan({ mode: 'copy', name: 'shop-copy' }));
    expect(view).toMatchObject({ canStart: true, vappName: 'shop-copy', removals: [] });
    expect(view.vms.map((vm) => [vm.name, vm.action])).toEqual([
      ['web-1', 'build'],
      ['db-1', 'build'],
      ['app-1', 'build'],
    ]);
    expect(item(view, 'vms.web-1.nics.0.macAddress')).toMatchObject({ conformity: 'changed', captured: '00:50:56:01:0a:11' });
    expect(item(view, 'owner')).toMatchObject({ conformity: 'fits', captured: 'olivia', planned: 'olivia' });
    expect(item(view, 'networks.shop-front.config.Configuration.ParentNetwork')).toMatchObject({
      conformity: 'fits',
      choice: { field: 'networks.shop-front', chosen: 'acme-frontend' },
    });
    for (const attribute of ['description', 'lease.storageSeconds', 'metadata.SYSTEM/provider-note.value', 'vms.db-1.nics.1.connected']) {
      expect(item(view, attribute)).toMatchObject({ conformity: 'fits', explanation: '' });
    }
    expect(view.counts.missing).toBe(0);
    expect(view.items.filter((each) => each.conformity !== 'fits' && each.explanation === '')).toEqual([]);
    expect(Object.values(view.counts).reduce((sum, count) => sum + count)).toBe(view.items.length);
  });

  it('writes over VMs in place, and asks before a VM or its snapshot is lost', async () => {
    const over = await onlyReads(() => plan({ mode: 'overwrite' }));
    expect(over.vms.map((vm) => vm.action)).toEqual(['overwrite', 'overwrite', 'overwrite']);
    expect(over.canStart).toBe(true);
    const some = await onlyReads(() => plan({ mode: 'vms', vms: ['db-1'] }));
    expect(some.canStart).toBe(false);
    expect(item(some, 'vms.db-1')).toMatchObject({ needsChoice: true, choice: { field: 'existingVms' } });
    expect(some.items.every((each) => each.attribute.startsWith('vms.db-1'))).toBe(true);
    const chosen = await plan({ mode: 'vms', vms: ['db-1'], choices: { existingVms: 'replace' } });
    expect(chosen).toMatchObject({ canStart: true, vms: [{ name: 'db-1', action: 'replace' }] });
    const renamed = await plan({ mode: 'vms', vms: ['db-1'], choices: { existingVms: 'rename', vmNames: { 'db-1': 'db-old' } } });
    expect(renamed).toMatchObject({ canStart: true, vms: [{ name: 'db-old', action: 'build' }] });
  });

  it('plans recreate and one disk', async () => {
    const recreated = await onlyReads(() => plan({ mode: 'recreate' }));
    expect(recreated).toMatchObject({ canStart: true, vappName: 'shop' });
    expect(recreated.vms.every((vm) => vm.action === 'build')).toBe(true);
    const label = point.vms.find((vm) => vm.name === 'db-1')?.disks[1]?.label;
    const disk = await onlyReads(() => plan({ mode: 'disk', disk: { vm: 'db-1', disk: label } }));
    expect(disk).toMatchObject({ canStart: true, vms: [{ name: 'db-1', action: 'overwrite', disks: [{ label }] }] });
  });

  it('takes choices, and refuses wrong ones with the field and what it may be', async () => {
    const isolated = await plan({ mode: 'copy', name: 'shop-copy', choices: { networks: { 'shop-front': 'isolated' }, owner: 'raj' } });
    expect(item(isolated, 'networks.shop-front.config.Configuration.ParentNetwork')).toMatchObject({
      conformity: 'changed',
      planned: 'isolated',
    });
    expect(item(isolated, 'owner')).toMatchObject({ conformity: 'changed', planned: 'raj' });
    await expect(plan({ mode: 'copy', name: 'x', choices: { networks: { 'shop-front': 'nowhere' } } })).rejects.toThrow(
      /choices\.networks\.shop-front.*"nowhere".*"acme-frontend"/,
    );
    await expect(plan({ mode: 'copy', name: 'x', choices: { networks: { 'shop-frnt': 'isolated' } } })).rejects.toThrow(/"shop-frnt"/);
    await expect(plan({ mode: 'copy', name: 'x', choices: { owner: 'nobody' } })).rejects.toThrow(/choices\.owner is "nobody"/);
    await expect(plan({ mode: 'vms', vms: ['web-9'] })).rejects.toThrow(/"web-9".*"web-1"/);
    await expect(plan({ mode: 'overwrite', vdcId: 'urn:vcloud:vdc:x' })).rejects.toThrow(/takes no vdcId/);
  });

  it('plans into another organization: its networks, profiles and people, and what it has not', async () => {
    const { items } = await world.api
      .get<{ items: { id: string; name: string; organizationId: string }[] }>('/api/v1/vdcs')
      .catch(() => ({ items: [] }));
    const globex = items.find((vdc) => vdc.name === 'globex-main');
    const request = globex === undefined ? undefined : { organizationId: globex.organizationId };
    if (request === undefined) throw new Error('no VDC globex-main in the inventory');
    const view = await onlyReads(() => plan({ mode: 'copy', name: 'shop-for-globex', ...request }));
    expect(view).toMatchObject({ organizationName: 'globex', vdcName: 'globex-main', canStart: true });
    expect(item(view, 'owner')).toMatchObject({ conformity: 'missing', captured: 'olivia' });
    expect(item(view, 'networks.shop-front.config.Configuration.ParentNetwork')).toMatchObject({
      conformity: 'missing',
      planned: 'isolated',
    });
    expect(item(view, 'access.grants.raj')).toMatchObject({ conformity: 'missing' });
  });
});
