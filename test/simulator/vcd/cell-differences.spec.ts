import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { VcdClient } from '../../../src/vcd/index.js';
import { DEFAULT_SEED } from '../seeds/index.js';
import { smallSeed } from '../seeds/small-seed.js';
import type { Vapp } from './state.js';
import { type CallResult, startTestCell, type TestCell } from './testing.js';
import { chooseVariants, defaultVariants, type Variants } from './variants.js';
import { MEDIA } from './xml-names.js';

const VCLOUD = 'xmlns="http://www.vmware.com/vcloud/v1.5" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"';

/** What no public source could confirm: the cell gives either answer, and the product's client takes either. */
describe('where cells differ', () => {
  let test: TestCell;
  let client: VcdClient;
  beforeAll(async () => {
    test = await startTestCell(smallSeed(JSON.parse(readFileSync(DEFAULT_SEED, 'utf8'))));
    const { administrator } = JSON.parse(readFileSync(DEFAULT_SEED, 'utf8')) as { administrator: { name: string; password: string } };
    const { name: userName, password } = administrator;
    const endpoint = { url: test.cell.url, organization: 'System', userName, password, trust: { thumbprint: test.thumbprint } };
    client = await VcdClient.connect({ ...endpoint, taskPollMs: 10, retryBaseDelayMs: 20 });
  });
  afterEach(() => Object.assign(test.cloud.variants, defaultVariants()));
  afterAll(async () => {
    await client?.close();
    await test.close();
  });

  const vapp = (name: string) => test.cloud.state.vapps.find((candidate) => candidate.name === name) as Vapp;
  const hrefOf = (name: string): string => `${test.cell.url}/api/vApp/vapp-${vapp(name).id}`;
  const as = (variants: Partial<Variants>) => chooseVariants(test.cloud.variants, variants);
  const code = (result: CallResult): string => `${result.status} ${result.xml.attribute('minorErrorCode', '') ?? ''}`;
  const vimServerHref = (): string => `${test.cell.url}/api/admin/extension/vimServer/${test.cloud.state.vimServer.id}`;
  const looseVm = async (name: string): Promise<string> => {
    const network = test.cloud.state.orgNetworks.find((candidate) => candidate.name === 'acme-test-net');
    const vm = await test.vsphere.createVm({
      name,
      folderMoRef: test.vsphere.vmFolderMoRef,
      resourcePoolMoRef: test.vsphere.rootResourcePoolMoRef,
      datastoreName: 'san-02',
      disks: [{ capacityBytes: 1024 * 1024 }],
      nics: [{ networkMoRef: network?.portGroupMoRef ?? '' }],
    });
    return vm.moRef;
  };
  const importVapp = async (name: string) => {
    const vdcHref = `${test.cell.url}/api/vdc/${test.cloud.state.vdcs.find((vdc) => vdc.name === 'acme-test')?.id}`;
    const imported = await client.importVmAsVapp({
      ...{ vimServerHref: vimServerHref(), vmMoRef: await looseVm(name), vdcHref, vappName: name, vmName: name },
    });
    return client.captureVapp(imported.vappHref);
  };

  it.each([
    ['system', 'system'],
    ['importer', 'administrator'],
  ] as const)('gives an imported vApp to %s', async (importOwner, owner) => {
    as({ importOwner });
    expect((await importVapp(`owned-by-${importOwner}`)).owner?.name).toBe(owner);
  });

  it.each([
    ['derived', ['acme-test-net']],
    ['none', ['none']],
  ] as const)('finds the networks of an imported VM: %s', async (importNetworks, networks) => {
    as({ importNetworks });
    const capture = await importVapp(`networks-${importNetworks}`);
    expect(capture.vms[0]?.nics.map((nic) => nic.network)).toEqual(networks);
  });

  it.each(['BUSY_ENTITY', '500'] as const)('says %s while a vApp is busy, and the client comes again', async (busyVcenter) => {
    as({ busyVcenter });
    const name = `busy-${busyVcenter}`;
    const { href } = await importVapp(name);
    const vmMoRef = await looseVm(`${name}-second`);
    const task = test.cloud.tasks.start({
      ...{ operationName: 'vappUpdateVm', operation: 'a short one', owner: test.cloud.nameOf(vapp(name)), blocks: [vapp(name).id] },
      ...{ userId: '', organizationId: vapp(name).organizationId, delayMs: 60_000, work: () => undefined },
    });
    const since = test.exchanges.length;
    const importing = client.importVmIntoExistingVapp({ vimServerHref: vimServerHref(), vmMoRef, vappHref: href, vmName: 'second' });
    await expect.poll(() => refusals(since).length, { timeout: 20_000, interval: 10 }).toBeGreaterThan(0);
    expect(refusals(since)[0]).toBe(busyVcenter === '500' ? 500 : 400);
    test.cloud.tasks.cancel(task);
    expect((await importing).vmHref).toContain('/vApp/vm-');
  });
  const refusals = (since: number): number[] =>
    test.exchanges
      .slice(since)
      .filter(({ path, status }) => path.endsWith('/importVmIntoExistingVApp') && status >= 400)
      .map(({ status }) => status);

  it.each(['400', '403'] as const)("refuses a tenant's write to a vApp in maintenance mode with %s", async (maintenanceWrite) => {
    as({ maintenanceWrite });
    await client.enterMaintenanceMode(hrefOf('sandbox'));
    const body = `<VApp ${VCLOUD} name="sandbox"/>`;
    const refused = await test.call('acme-admin', 'PUT', hrefOf('sandbox'), { body, type: MEDIA.vapp });
    expect(code(refused)).toBe(maintenanceWrite === '400' ? '400 BAD_REQUEST' : '403 ACCESS_TO_RESOURCE_IS_FORBIDDEN');
    expect(refused.text).toContain('is in maintenance mode');
    await client.writeVapp(hrefOf('sandbox'), { description: `written by the provider, ${maintenanceWrite}` });
    expect(vapp('sandbox').description).toBe(`written by the provider, ${maintenanceWrite}`);
    await client.exitMaintenanceMode(hrefOf('sandbox'));
  });

  it.each(['204', '400'] as const)(
    'answers %s to entering maintenance mode twice, which the client does not mind',
    async (enterMaintenanceTwice) => {
      as({ enterMaintenanceTwice });
      await client.enterMaintenanceMode(hrefOf('sandbox'));
      const again = await test.call('administrator', 'POST', `${hrefOf('sandbox')}/action/enterMaintenanceMode`);
      expect(String(again.status)).toBe(enterMaintenanceTwice);
      await client.enterMaintenanceMode(hrefOf('sandbox'));
      expect(vapp('sandbox').inMaintenanceMode).toBe(true);
      await client.exitMaintenanceMode(hrefOf('sandbox'));
      expect(vapp('sandbox').inMaintenanceMode).toBe(false);
    },
  );

  it.each(['accepted', '400'] as const)('takes a MAC address that another VM has: %s', async (duplicateMac) => {
    as({ duplicateMac });
    const [first] = test.cloud.vmsOf(vapp('shop'));
    const taken = test.cloud.hardware(first as NonNullable<typeof first>)?.nics[0]?.macAddress;
    const [vm] = test.cloud.vmsOf(vapp('sandbox'));
    const section = `<NetworkConnectionSection ${VCLOUD}><ovf:Info>i</ovf:Info><NetworkConnection network="none"><NetworkConnectionIndex>0</NetworkConnectionIndex><IsConnected>false</IsConnected><MACAddress>${taken}</MACAddress><IpAddressAllocationMode>NONE</IpAddressAllocationMode></NetworkConnection></NetworkConnectionSection>`;
    const path = `/api/vApp/vm-${vm?.id}/networkConnectionSection/`;
    const put = await test.call('administrator', 'PUT', path, { body: section, type: MEDIA.networkConnection });
    expect(code(put)).toBe(duplicateMac === '400' ? '400 BAD_REQUEST' : '202 ');
    if (put.status === 400) expect(put.text).toContain('is already in use');
    else expect(await test.finished(put)).toBe('success');
  });
});
