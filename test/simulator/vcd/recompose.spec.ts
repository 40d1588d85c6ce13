import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everythingSeed } from '../seeds/everything.js';
import { smallSeed } from '../seeds/small-seed.js';
import type { Vapp, Vm } from './state.js';
import { type CallResult, startTestCell, type TestCell } from './testing.js';
import { MEDIA } from './xml-names.js';

const NS = 'xmlns="http://www.vmware.com/vcloud/v1.5" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"';

describe('what is done to the VMs of a vApp', () => {
  let test: TestCell;
  beforeAll(async () => {
    test = await startTestCell(smallSeed(everythingSeed()));
  });
  afterAll(() => test.close());

  const vapp = (name: string) => test.cloud.state.vapps.find((candidate) => candidate.name === name) as Vapp;
  const vm = (name: string) => test.cloud.state.vms.find((candidate) => candidate.name === name) as Vm;
  const href = (id: string, kind = 'vApp/vm'): string => `${test.cell.url}/api/${kind}-${id}`;
  const recompose = (into: string, content: string): Promise<CallResult> =>
    test.call('acme-admin', 'POST', `/api/vApp/vapp-${vapp(into).id}/action/recomposeVApp`, {
      body: `<RecomposeVAppParams ${NS}>${content}</RecomposeVAppParams>`,
      type: MEDIA.recompose,
    });
  const sourced = (source: string, name: string, more = '', attributes = ''): string =>
    `<SourcedItem ${attributes}><Source href="${source}"/><VmGeneralParams><Name>${name}</Name></VmGeneralParams>${more}</SourcedItem>`;

  it('copies a VM of a vApp and one of a template, each on its network, and moves one', async () => {
    const template = test.cloud.state.vappTemplates.find((candidate) => candidate.name === 'pair');
    const inTemplate = test.cloud.templateVmsOf(template?.id ?? '')[0];
    const key = test.cloud.hardware(vm('golden-a'))?.disks[0]?.key ?? 0;
    await test.vsphere.guest.write(vm('golden-a').moRef, key, 0, Buffer.from('copied'));
    const assignment = '<NetworkAssignment innerNetwork="acme-frontend" containerNetwork="acme-backend"/>';
    const done = await recompose(
      'golden',
      sourced(href(vm('golden-a').id), 'copy') +
        sourced(href(inTemplate?.id ?? '', 'vAppTemplate/vm'), 'of-template') +
        sourced(href(vm('lone').id), 'moved', assignment, 'sourceDelete="true"'),
    );
    expect([done.status, await test.finished(done)]).toEqual([202, 'success']);
    const names = test.cloud.vmsOf(vapp('golden')).map(({ name }) => name);
    expect(names).toEqual(['golden-a', 'golden-b', 'copy', 'of-template', 'moved']);
    const copy = test.cloud.hardware(vm('copy'));
    expect(await test.vsphere.guest.read(vm('copy').moRef, copy?.disks[0]?.key ?? 0, 0, 6)).toEqual(Buffer.from('copied'));
    expect(vm('moved').nics.map((nic) => nic.network)).toEqual(['acme-backend']);
    expect(vapp('lone')).toBeUndefined();
    const macs = ['golden-a', 'copy'].map((name) => test.cloud.hardware(vm(name))?.nics[0]?.macAddress);
    expect(new Set(macs).size).toBe(2);
    expect(new Set(test.cloud.vmsOf(vapp('golden')).map(({ localId }) => localId)).size).toBe(5);
  });

  it('refuses a name twice, a VM that runs, one with a named disk, and what it does not do', async () => {
    expect((await recompose('golden', sourced(href(vm('golden-a').id), 'golden-b'))).text).toContain('DUPLICATE_NAME');
    expect((await recompose('golden', sourced(href(vm('web').id), 'web'))).text).toContain('Stop the VM');
    expect((await recompose('golden', '<CreateItem name="new"/>')).text).toContain('recomposes no CreateItem');
    await test.vsphere.powerOff(vm('db').moRef);
    vm('db').deployed = false;
    const move = await recompose('golden', sourced(href(vm('db').id), 'db', '', 'sourceDelete="true"'));
    expect(move.text).toContain('is attached to it');
    expect((await recompose('golden', sourced(href(vm('erp').id), 'erp'))).status).toBe(403);
  });

  it('changes processors and memory of a VM that is off, and of one that runs only as far as hot add goes', async () => {
    const change = (name: string, content: string) =>
      test.call('acme-admin', 'POST', `/api/vApp/vm-${vm(name).id}/action/reconfigureVm`, {
        body: `<Vm ${NS} name="${name}"><VmSpecSection Modified="true"><ovf:Info>i</ovf:Info>${content}<HardwareVersion>vmx-19</HardwareVersion></VmSpecSection></Vm>`,
        type: MEDIA.vm,
      });
    const memory = (mib: number) => `<MemoryResourceMb><Configured>${mib}</Configured></MemoryResourceMb>`;
    expect((await change('golden-a', '<NumCpus>3</NumCpus><NumCoresPerSocket>2</NumCoresPerSocket>')).text).toContain(
      'do not fill sockets',
    );
    const both = await change('golden-a', `<NumCpus>4</NumCpus><NumCoresPerSocket>2</NumCoresPerSocket>${memory(512)}`);
    expect(await test.finished(both)).toBe('success');
    expect(test.cloud.hardware(vm('golden-a'))).toMatchObject({ cpuCount: 4, coresPerSocket: 2, memoryMib: 512 });

    await test.vsphere.powerOn(vm('golden-a').moRef);
    expect((await change('golden-a', memory(1024))).status).toBe(400);
    vm('golden-a').capabilities = { cpuHotAdd: false, memoryHotAdd: true };
    expect((await change('golden-a', '<NumCpus>6</NumCpus>')).text).toContain('virtual CPUs');
    expect((await change('golden-a', memory(256))).text).toContain('memory');
    expect(await test.finished(await change('golden-a', memory(1024)))).toBe('success');
    expect(test.cloud.hardware(vm('golden-a'))?.memoryMib).toBe(1024);
  });
});
