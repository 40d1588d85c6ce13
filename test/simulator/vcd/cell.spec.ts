import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sleep } from '../../../src/common/index.js';
import { DEFAULT_SEED } from '../seeds/index.js';
import { smallSeed } from '../seeds/small-seed.js';
import { type CallResult, startTestCell, type TestCell } from './testing.js';
import { MEDIA } from './xml-names.js';

const VMEXT = 'xmlns="http://www.vmware.com/vcloud/v1.5" xmlns:x="http://www.vmware.com/vcloud/extension/v1.5"';
const VCLOUD =
  'xmlns="http://www.vmware.com/vcloud/v1.5" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"';

describe('the cell', () => {
  let test: TestCell;
  const vapp = (name: string) => {
    const found = test.cloud.state.vapps.find((candidate) => candidate.name === name);
    if (!found) throw new Error(`no vApp ${name}`);
    return found;
  };
  const path = (name: string): string => `/api/vApp/vapp-${vapp(name).id}`;
  const code = (result: CallResult): string => `${result.status} ${result.xml.attribute('minorErrorCode', '')}`;
  const importPath = (action: string): string => `/api/admin/extension/vimServer/${test.cloud.state.vimServer.id}/${action}`;
  const vdcHref = (name: string): string => `${test.cell.url}/api/vdc/${test.cloud.state.vdcs.find((vdc) => vdc.name === name)?.id}`;

  beforeAll(async () => {
    test = await startTestCell(smallSeed(JSON.parse(readFileSync(DEFAULT_SEED, 'utf8'))), { taskDelayMs: 60 });
  });
  afterAll(() => test.close());

  it('wants a version it speaks in the Accept header', async () => {
    for (const accept of ['application/*+xml', 'application/*+xml;version=5.1', 'application/*+json;version=37.0']) {
      const result = await test.call('administrator', 'GET', '/api/org', { accept });
      expect(code(result)).toBe('406 NOT_ACCEPTABLE');
      expect(result.xml.attribute('message')).toContain('Supported API versions are: [33.0,');
    }
    const good = await test.call('administrator', 'GET', '/api/org', { accept: 'application/*+xml;version=36.1' });
    expect(good.headers['content-type']).toBe('application/vnd.vmware.vcloud.orglist+xml;version=36.1');
  });

  it('hides what belongs to others, and what vSphere calls it', async () => {
    const foreign = await test.call('acme-admin', 'GET', path('erp'));
    const missing = await test.call('acme-admin', 'GET', '/api/vApp/vapp-00000000-0000-4000-8000-00000000dead');
    expect([code(foreign), code(missing)]).toEqual(['403 ACCESS_TO_RESOURCE_IS_FORBIDDEN', '403 ACCESS_TO_RESOURCE_IS_FORBIDDEN']);
    const own = await test.call('acme-admin', 'GET', path('shop'));
    expect(own.text).not.toContain('VCloudExtension');
    expect(own.text).not.toMatch(/vm-\d+</);
    const provider = await test.call('administrator', 'GET', path('shop'));
    expect(provider.xml.find('Children', 'Vm', 'VCloudExtension', 'VmVimInfo', 'VmVimObjectRef', 'MoRef')?.text()).toMatch(/^vm-\d+$/);
    expect(code(await test.call('acme-admin', 'GET', '/api/query?type=adminVM'))).toBe('403 ACCESS_TO_RESOURCE_IS_FORBIDDEN');
    const metadata = await test.call('acme-admin', 'GET', `${path('shop')}/metadata`);
    expect(metadata.text).not.toContain('provider-note');
  });

  it('gives shared users what they were granted', async () => {
    const body = `<VApp ${VCLOUD} name="shop"><Description>by a reader</Description></VApp>`;
    expect((await test.call('raj', 'GET', path('shop'))).status).toBe(200);
    expect(code(await test.call('raj', 'PUT', path('shop'), { body, type: MEDIA.vapp }))).toBe('403 ACCESS_TO_RESOURCE_IS_FORBIDDEN');
    expect(code(await test.call('raj', 'GET', path('intranet')))).toBe('403 ACCESS_TO_RESOURCE_IS_FORBIDDEN');
  });

  it('refuses tenants in maintenance mode, not the provider, and starts no task for it', async () => {
    const entered = await test.call('administrator', 'POST', `${path('intranet')}/action/enterMaintenanceMode`);
    expect([entered.status, entered.text]).toEqual([204, '']);
    const body = `<VApp ${VCLOUD} name="intranet"><Description>new</Description></VApp>`;
    expect(code(await test.call('acme-admin', 'PUT', path('intranet'), { body, type: MEDIA.vapp }))).toBe('400 BAD_REQUEST');
    expect((await test.call('acme-admin', 'GET', path('intranet'))).xml.textAt('InMaintenanceMode')).toBe('true');
    expect(code(await test.call('acme-admin', 'POST', `${path('intranet')}/action/exitMaintenanceMode`))).toBe(
      '403 ACCESS_TO_RESOURCE_IS_FORBIDDEN',
    );
    const done = await test.call('administrator', 'PUT', path('intranet'), { body, type: MEDIA.vapp });
    expect([done.status, await test.finished(done)]).toEqual([202, 'success']);
    expect((await test.call('administrator', 'POST', `${path('intranet')}/action/exitMaintenanceMode`)).status).toBe(204);
    expect(vapp('intranet').description).toBe('new');
  });

  it('is busy while a task runs, shows the task, and lets it be cancelled', async () => {
    const lease = (seconds: number): string =>
      `<LeaseSettingsSection ${VCLOUD} ovf:required="false"><ovf:Info>i</ovf:Info><DeploymentLeaseInSeconds>${seconds}</DeploymentLeaseInSeconds><StorageLeaseInSeconds>0</StorageLeaseInSeconds></LeaseSettingsSection>`;
    const put = (seconds: number) =>
      test.call('administrator', 'PUT', `${path('sandbox')}/leaseSettingsSection/`, { body: lease(seconds), type: MEDIA.leaseSettings });
    const before = { ...vapp('sandbox').lease };
    let worked = false;
    const task = test.cloud.tasks.start({
      operationName: 'vappUpdateVm',
      operation: 'a long one',
      owner: test.cloud.nameOf(vapp('sandbox')),
      blocks: [vapp('sandbox').id],
      userId: '',
      organizationId: vapp('sandbox').organizationId,
      delayMs: 60_000,
      work: () => {
        worked = true;
      },
    });
    const refused = await put(9000);
    expect(code(refused)).toBe('400 BUSY_ENTITY');
    expect(refused.xml.attribute('message')).toContain(
      `is busy completing an operation VAPP_UPDATE_VM(com.vmware.vcloud.entity.task:${task.id})`,
    );
    const shown = (await test.call('administrator', 'GET', path('sandbox'))).xml.find('Tasks', 'Task');
    expect(shown?.attribute('id', '')).toBe(`urn:vcloud:task:${task.id}`);
    const href = shown?.attribute('href', '') ?? '';
    expect((await test.call('administrator', 'POST', `${href}/action/cancel`)).status).toBe(204);
    expect(await test.finished(await test.call('administrator', 'GET', href))).toBe('aborted');
    expect(worked).toBe(false);
    expect(vapp('sandbox').lease).toEqual(before);
    expect(await test.finished(await put(9000))).toBe('success');
    expect(vapp('sandbox').lease.deploymentSeconds).toBe(9000);
  });

  it('checks order and namespaces of an import, and that the VM is there and free', async () => {
    const post = (body: string) => test.call('administrator', 'POST', importPath('importVmAsVApp'), { body, type: MEDIA.importVmAsVapp });
    const vdc = `<x:Vdc href="${vdcHref('acme-test')}"/>`;
    const root = `<x:ImportVmAsVAppParams ${VMEXT} name="n" sourceMove="true" deploy="false" powerOn="false">`;
    const end = '</x:ImportVmAsVAppParams>';
    const wrong = [
      `${root}<x:Description>d</x:Description><x:VmMoRef>vm-1</x:VmMoRef>${vdc}${end}`,
      `${root}<x:VmMoRef>vm-1</x:VmMoRef>${vdc.replaceAll('x:', '')}${end}`,
      `${root}<x:VmMoRef>vm-1</x:VmMoRef>${vdc}<x:VdcStorageProfile href="h"/>${end}`,
      `${root}${vdc}${end}`,
      `${root}<x:VmMoRef>vm-1</x:VmMoRef>${end}`,
    ];
    for (const body of wrong) {
      const result = await post(body);
      expect(code(result)).toBe('400 BAD_REQUEST');
      expect(result.xml.attribute('message')).toContain('cvc-complex-type');
    }
    expect(code(await post(`${root}<x:VmMoRef>vm-9999</x:VmMoRef>${vdc}${end}`))).toBe('400 INVALID_REFERENCE');
    const managed = test.cloud.state.vms[0]?.moRef;
    expect((await post(`${root}<x:VmMoRef>${managed}</x:VmMoRef>${vdc}${end}`)).xml.attribute('message')).toContain('already managed');
  });

  it('imports by taking over or by cloning, with only what VCD derives', async () => {
    const network = test.cloud.state.orgNetworks.find((candidate) => candidate.name === 'acme-test-net');
    const source = await test.vsphere.createVm({
      name: 'loose',
      folderMoRef: test.vsphere.vmFolderMoRef,
      resourcePoolMoRef: test.vsphere.rootResourcePoolMoRef,
      datastoreName: 'san-02',
      disks: [{ capacityBytes: 1024 * 1024 }],
      nics: [{ networkMoRef: network?.portGroupMoRef ?? '' }, { networkMoRef: test.vsphere.networks()[0]?.moRef ?? '' }],
    });
    const body = `<x:ImportVmAsVAppParams ${VMEXT} name="imported" sourceMove="true" deploy="false" powerOn="false"><Description>from a spec</Description><x:VmName>one</x:VmName><x:VAppScopedLocalId>local-1</x:VAppScopedLocalId><x:VmMoRef>${source.moRef}</x:VmMoRef><x:Vdc href="${vdcHref('acme-test')}"/></x:ImportVmAsVAppParams>`;
    const made = await test.call('administrator', 'POST', importPath('importVmAsVApp'), { body, type: MEDIA.importVmAsVapp });
    expect([made.status, made.xml.attribute('status', ''), made.headers.location]).toEqual([201, '0', made.xml.attribute('href', '')]);
    expect(made.xml.find('Tasks', 'Task')?.attribute('operationName', '')).toBe('importSingletonVapp');
    expect(await test.finished(made)).toBe('success');
    const full = await test.call('administrator', 'GET', path('imported'));
    expect(full.xml.find('Owner', 'User')?.attribute('name', '')).toBe('system');
    const configs = full.xml.child('NetworkConfigSection')?.childrenNamed('NetworkConfig') ?? [];
    expect(configs.map((config) => config.attribute('networkName', ''))).toEqual(['acme-test-net', 'none']);
    expect(test.vsphere.vm(source.moRef)?.name).toMatch(/^one-[0-9a-f]{4}$/);
    expect(vapp('imported').lease).toEqual({ deploymentSeconds: 604_800, storageSeconds: 2_592_000 });

    const other = await test.vsphere.createVm({
      name: 'kept',
      folderMoRef: test.vsphere.vmFolderMoRef,
      resourcePoolMoRef: test.vsphere.rootResourcePoolMoRef,
      datastoreName: 'san-02',
      disks: [{ capacityBytes: 1024 * 1024 }],
    });
    const into = `<x:ImportVmIntoExistingVAppParams ${VMEXT} sourceMove="false"><x:VmName>two</x:VmName><x:VmDescription>second</x:VmDescription><x:VmMoRef>${other.moRef}</x:VmMoRef><x:VApp href="${full.xml.attribute('href', '')}"/></x:ImportVmIntoExistingVAppParams>`;
    const added = await test.call('administrator', 'POST', importPath('importVmIntoExistingVApp'), {
      body: into,
      type: MEDIA.importVmIntoVapp,
    });
    expect([added.status, await test.finished(added)]).toEqual([202, 'success']);
    expect(test.vsphere.vm(other.moRef)?.name).toBe('kept');
    const deleted = await test.call('administrator', 'DELETE', path('imported'));
    expect(await test.finished(deleted)).toBe('success');
    expect(test.vsphere.vm(source.moRef)).toBeUndefined();
    expect(code(await test.call('administrator', 'GET', full.xml.attribute('href', '') ?? ''))).toBe('403 ACCESS_TO_RESOURCE_IS_FORBIDDEN');
  });

  it('leaves a failed vApp behind when the import task fails', async () => {
    const source = await test.vsphere.createVm({
      name: 'unlucky',
      folderMoRef: test.vsphere.vmFolderMoRef,
      resourcePoolMoRef: test.vsphere.rootResourcePoolMoRef,
      datastoreName: 'san-02',
      disks: [{ capacityBytes: 1024 * 1024 }],
    });
    test.faults.add({ operationName: 'importSingletonVapp', message: 'The host does not answer.' });
    const body = `<x:ImportVmAsVAppParams ${VMEXT} name="half" sourceMove="true"><x:VmMoRef>${source.moRef}</x:VmMoRef><x:Vdc href="${vdcHref('acme-test')}"/></x:ImportVmAsVAppParams>`;
    const made = await test.call('administrator', 'POST', importPath('importVmAsVApp'), { body, type: MEDIA.importVmAsVapp });
    expect(await test.finished(made)).toBe('error');
    expect((await test.call('administrator', 'GET', path('half'))).xml.attribute('status', '')).toBe('-1');
  });

  it('deletes no running vApp', async () => {
    const result = await test.call('administrator', 'DELETE', path('shop'));
    expect(code(result)).toBe('400 BAD_REQUEST');
    expect(result.xml.attribute('message')).toContain('Stop the vApp and try again.');
  });

  it('keeps the pairs of metadata domain and visibility, and the SYSTEM domain to the provider', async () => {
    const entry = (domain: string, visibility: string): string =>
      `<Metadata ${VCLOUD}><MetadataEntry><Domain visibility="${visibility}">${domain}</Domain><Key>k</Key><TypedValue xsi:type="MetadataNumberValue"><Value>7</Value></TypedValue></MetadataEntry></Metadata>`;
    const post = (user: string, body: string) => test.call(user, 'POST', `${path('sandbox')}/metadata`, { body, type: MEDIA.metadata });
    expect(code(await post('administrator', entry('GENERAL', 'PRIVATE')))).toBe('400 BAD_REQUEST');
    expect(code(await post('acme-admin', entry('SYSTEM', 'PRIVATE')))).toBe('403 ACCESS_TO_RESOURCE_IS_FORBIDDEN');
    expect(await test.finished(await post('administrator', entry('SYSTEM', 'READONLY')))).toBe('success');
    const found = await test.call('administrator', 'GET', '/api/query?type=adminVApp&filter=metadata@SYSTEM:k==NUMBER:7');
    expect(found.xml.childrenNamed('AdminVAppRecord').map((record) => record.attribute('name', ''))).toEqual(['sandbox']);
  });

  it('filters, sorts and pages queries', async () => {
    const names = async (query: string) => {
      const result = await test.call('administrator', 'GET', `/api/query?type=adminVM&${query}`);
      return [result.status, ...result.xml.childrenNamed('AdminVMRecord').map((record) => record.attribute('name', ''))];
    };
    expect(await names('filter=(name==web-1,name==db*);numberOfCpus=ge=2&sortDesc=name')).toEqual([200, 'web-1', 'db-1']);
    expect(await names(`filter=container==${encodeURIComponent(test.cell.url + path('erp'))}`)).toEqual([200, 'erp-1']);
    expect(await names('pageSize=2&page=2&sortAsc=name')).toEqual([200, 'erp-1', 'sandbox-1']);
    expect((await names('filter=nonsense==1'))[0]).toBe(400);
    expect((await names('filter=(name==a'))[0]).toBe(400);
  });

  it('ends sessions', async () => {
    const short = await startTestCell({ ...smallSeed(JSON.parse(readFileSync(DEFAULT_SEED, 'utf8'))), vapps: [] }, { sessionIdleMs: 60 });
    try {
      expect((await short.call('administrator', 'GET', '/api/org')).status).toBe(200);
      await sleep(150);
      expect((await short.call('administrator', 'GET', '/api/org')).status).toBe(401);
    } finally {
      await short.close();
    }
  });
});
