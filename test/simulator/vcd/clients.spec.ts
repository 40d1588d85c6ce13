import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_SEED } from '../seeds/index.js';
import { smallSeed } from '../seeds/small-seed.js';
import { startTestCell, type TestCell } from './testing.js';
import { MEDIA } from './xml-names.js';

const NS = 'xmlns="http://www.vmware.com/vcloud/v1.5" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"';

/** Requests as pyvcloud and go-vcloud-director make them (test/interop/vcd drives the cell with the clients themselves). */
describe('what other clients ask', () => {
  let test: TestCell;
  const vapp = (name: string) => test.cloud.state.vapps.find((candidate) => candidate.name === name);
  const path = (name: string): string => `/api/vApp/vapp-${vapp(name)?.id}`;
  const vmPath = (name: string): string => `/api/vApp/vm-${test.cloud.state.vms.find((vm) => vm.name === name)?.id}`;
  const rels = (elements: { attribute: (name: string) => string | undefined }[]) => elements.map((link) => link.attribute('rel'));

  beforeAll(async () => {
    test = await startTestCell(smallSeed(JSON.parse(readFileSync(DEFAULT_SEED, 'utf8'))));
  });
  afterAll(() => test.close());

  it('decodes filter values twice before API 35.0, and once from there on', async () => {
    const value = encodeURIComponent(`${test.cell.url}/api/vdc/${vapp('sandbox')?.vdcId}`);
    const names = async (version: string, filter: string) => {
      const query = `/api/query?type=adminVApp&filterEncoded=true&filter=${encodeURIComponent(filter)}`;
      const result = await test.call('administrator', 'GET', query, { accept: `application/*+xml;version=${version}` });
      return result.xml.childrenNamed('AdminVAppRecord').map((record) => record.attribute('name', ''));
    };
    expect(await names('34.0', `vdc==${value}`)).toEqual(['sandbox']);
    expect(await names('35.0', `vdc==${value}`)).toEqual([]);
    expect(await names('34.0', 'name==sand%62ox')).toEqual(['sandbox']);
  });

  it('offers the links that write and remove one metadata value', async () => {
    const value = await test.call('administrator', 'GET', `${path('shop')}/metadata/GENERAL/tier`);
    expect(rels(value.xml.childrenNamed('Link'))).toEqual(['up', 'up', 'edit', 'edit', 'remove']);
  });

  it('names datastores by Reference and URN', async () => {
    const list = await test.call('administrator', 'GET', '/api/admin/extension/datastores');
    expect(list.xml.childrenNamed('Reference').map((entry) => entry.attribute('name', ''))).toEqual(['san-01', 'san-02']);
    expect(list.xml.child('Reference')?.attribute('id', '')).toMatch(/^urn:vcloud:datastore:/);
  });

  it('reads and writes boot options by their own resource', async () => {
    const body = `<BootOptions ${NS}><BootDelay>1500</BootDelay><EnterBIOSSetup>true</EnterBIOSSetup></BootOptions>`;
    const written = await test.call('administrator', 'POST', `${vmPath('wiki')}/action/bootOptions/`, { body, type: MEDIA.bootOptions });
    expect(await test.finished(written)).toBe('success');
    expect((await test.call('administrator', 'GET', `${vmPath('wiki')}/bootOptions/`)).xml.textAt('BootDelay')).toBe('1500');
  });

  it('takes an empty address for a NIC whose address is not the client to choose', async () => {
    const connection = (address: string) =>
      `<NetworkConnectionSection ${NS} ovf:required="false"><ovf:Info>i</ovf:Info><NetworkConnection network="none"><NetworkConnectionIndex>0</NetworkConnectionIndex>${address}<IsConnected>false</IsConnected><IpAddressAllocationMode>NONE</IpAddressAllocationMode></NetworkConnection></NetworkConnectionSection>`;
    const put = (address: string) =>
      test.call('administrator', 'PUT', `${vmPath('sandbox-1')}/networkConnectionSection`, {
        body: connection(address),
        type: MEDIA.networkConnection,
      });
    expect((await put('<IpAddress>10.0.0.</IpAddress>')).status).toBe(400);
    expect(await test.finished(await put('<IpAddress/>'))).toBe('success');
  });

  it('changes processors and memory by a VmSpecSection that says it was modified, and by no other', async () => {
    const send = (modified: string) =>
      test.call('administrator', 'POST', `${vmPath('sandbox-1')}/action/reconfigureVm`, {
        body: `<Vm ${NS} name="sandbox-1"><VmSpecSection Modified="${modified}"><ovf:Info>i</ovf:Info><NumCpus>3</NumCpus><NumCoresPerSocket>3</NumCoresPerSocket><MemoryResourceMb><Configured>640</Configured></MemoryResourceMb><HardwareVersion>vmx-19</HardwareVersion></VmSpecSection></Vm>`,
        type: MEDIA.vm,
      });
    const hardware = () => test.vsphere.vm(test.cloud.state.vms.find((vm) => vm.name === 'sandbox-1')?.moRef ?? '');
    const before = hardware()?.cpuCount;
    expect(await test.finished(await send('false'))).toBe('success');
    expect(hardware()?.cpuCount).toBe(before);
    expect(await test.finished(await send('true'))).toBe('success');
    expect([hardware()?.cpuCount, hardware()?.coresPerSocket, hardware()?.memoryMib]).toEqual([3, 3, 640]);
  });

  it('renames by recomposition, and refuses to delete what is no VM', async () => {
    const send = (body: string) =>
      test.call('administrator', 'POST', `${path('sandbox')}/action/recomposeVApp`, { body, type: MEDIA.recompose });
    const refused = await send(`<RecomposeVAppParams ${NS} name="sandbox"><DeleteItem href="x"/></RecomposeVAppParams>`);
    expect(refused.status).toBe(400);
    const done = await send(`<RecomposeVAppParams ${NS} name="sandbox"><Description>again</Description></RecomposeVAppParams>`);
    expect(await test.finished(done)).toBe('success');
    expect(vapp('sandbox')?.description).toBe('again');
  });

  it('takes access rights without a Content-Type', async () => {
    const body = `<ControlAccessParams ${NS}><IsSharedToEveryone>false</IsSharedToEveryone></ControlAccessParams>`;
    expect((await test.call('administrator', 'POST', `${path('sandbox')}/action/controlAccess`, { body })).status).toBe(200);
  });

  it('deletes a vApp network that no NIC is on', async () => {
    const inUse = vapp('shop')?.networks[0]?.id;
    expect((await test.call('administrator', 'DELETE', `/api/network/${inUse}`)).status).toBe(400);
    expect((await test.call('acme-admin', 'DELETE', `/api/network/${vapp('erp')?.networks[0]?.id}`)).status).toBe(403);
    const own = `<NetworkConfigSection ${NS}><ovf:Info>i</ovf:Info><NetworkConfig networkName="spare"><Configuration><IpScopes><IpScope><IsInherited>false</IsInherited><Gateway>10.9.0.1</Gateway><Netmask>255.255.255.0</Netmask></IpScope></IpScopes><FenceMode>isolated</FenceMode></Configuration></NetworkConfig></NetworkConfigSection>`;
    const made = await test.call('administrator', 'PUT', `${path('sandbox')}/networkConfigSection`, {
      body: own,
      type: MEDIA.networkConfig,
    });
    expect(await test.finished(made)).toBe('success');
    const gone = await test.call('administrator', 'DELETE', `/api/network/${vapp('sandbox')?.networks[0]?.id}`);
    expect(await test.finished(gone)).toBe('success');
    expect(vapp('sandbox')?.networks).toEqual([]);
  });

  it('ends a session for a client that accepts XML', async () => {
    const accept = 'application/xml;version=39.1';
    expect((await test.call('gina', 'DELETE', '/cloudapi/1.0.0/sessions', { accept })).status).toBe(204);
    expect((await test.call('gina', 'GET', '/api/org')).status).toBe(401);
  });
});
