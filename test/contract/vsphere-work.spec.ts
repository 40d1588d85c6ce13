import { describe, expect, it } from 'vitest';
import { CancelledError, TimeoutError } from '../../src/common/index.js';
import { Fault, SILENCE } from './scripted-vcenter.js';
import { connect, failureOf, inventory, scriptTask, SNAPSHOTS, SUCCESS, TASK, useScriptedVcenter, vcenter } from './vsphere-fixtures.js';

useScriptedVcenter();

describe('tasks', () => {
  it('creates a snapshot without memory and waits by updates', async () => {
    const client = await connect();
    const { info } = scriptTask(SUCCESS);
    vcenter
      .on('CreateSnapshot_Task', TASK)
      .on('RetrievePropertiesEx', inventory({ 'task-1': { info }, 'vm-16': { snapshot: SNAPSHOTS('newer') } }));
    const made = await client.createSnapshot('vm-16', { name: 'a%b', description: 'for < & >', quiesce: true, timeoutMs: 5_000 });
    expect(made).toMatchObject({ moRef: 'snapshot-9', createdAt: '2026-02-02T02:02:02Z' });
    const sent = vcenter.of('CreateSnapshot_Task')[0]?.body;
    expect(sent?.elements().map((e) => [e.local, e.text()])).toEqual([
      ['_this', 'vm-16'],
      ['name', 'a%25b'],
      ['description', 'for < & >'],
      ['memory', 'false'],
      ['quiesce', 'true'],
    ]);
    expect(vcenter.of('DestroyPropertyCollector').map((call) => call.self)).toEqual(['session[1]collector-1']);
    expect(vcenter.of('WaitForUpdatesEx').map((call) => call.self)).toEqual(Array(3).fill('session[1]collector-1'));
  });

  it('asks a Windows guest for VSS by CreateSnapshotEx_Task, with the type of the specification', async () => {
    const client = await connect();
    const { info } = scriptTask(SUCCESS);
    vcenter
      .on('CreateSnapshotEx_Task', TASK)
      .on('RetrievePropertiesEx', inventory({ 'task-1': { info }, 'vm-16': { snapshot: SNAPSHOTS('newer') } }));
    const windows = {
      context: 'ctx_backup',
      backupType: 'copy',
      bootableSystemState: true,
      partialFileSupport: false,
      timeoutMinutes: 15,
    } as const;
    await client.createSnapshot('vm-16', { name: 's', description: '', quiesce: true, windows, timeoutMs: 5_000 });
    const sent = vcenter.of('CreateSnapshotEx_Task')[0]?.body;
    expect(sent?.elements().map((e) => e.local)).toEqual(['_this', 'name', 'description', 'memory', 'quiesceSpec']);
    const spec = sent?.child('quiesceSpec');
    expect(spec?.attribute('type', 'http://www.w3.org/2001/XMLSchema-instance')).toMatch(/^(\w+:)?VirtualMachineWindowsQuiesceSpec$/);
    expect(spec?.elements().map((e) => [e.local, e.namespace, e.text()])).toEqual([
      ['timeout', 'urn:vim25', '15'],
      ['vssBackupType', 'urn:vim25', '5'],
      ['vssBootableSystemState', 'urn:vim25', 'true'],
      ['vssPartialFileSupport', 'urn:vim25', 'false'],
      ['vssBackupContext', 'urn:vim25', 'ctx_backup'],
    ]);
  });

  it('reports the task’s own fault', async () => {
    const client = await connect();
    scriptTask(
      '<changeSet><name>info.state</name><op>assign</op><val xsi:type="TaskInfoState">error</val></changeSet><changeSet><name>info.error</name><op>assign</op><val xsi:type="LocalizedMethodFault"><fault xsi:type="ApplicationQuiesceFault"/><localizedMessage>The guest would not be still.</localizedMessage></val></changeSet>',
    );
    vcenter.on('CreateSnapshot_Task', TASK);
    const error = await failureOf(client.createSnapshot('vm-16', { name: 's', description: '', quiesce: true, timeoutMs: 5_000 }));
    expect([error.code, error.faultType, error.retryable]).toEqual(['QUIESCE_FAILED', 'ApplicationQuiesceFault', false]);
    expect(error.message).toContain('The guest would not be still (ApplicationQuiesceFault)');
  });

  it.each(['signal', 'deadline'])('at its %s destroys the collector and cancels the task', async (how) => {
    const client = await connect();
    scriptTask(SUCCESS);
    vcenter.on('CreateSnapshot_Task', TASK).on('WaitForUpdatesEx', SILENCE);
    const controller = new AbortController();
    const timeoutMs = how === 'deadline' ? 3_000 : 60_000;
    const failure = failureOf(client.createSnapshot('vm-16', { name: 's', description: '', quiesce: false, timeoutMs }, controller.signal));
    await expect.poll(() => vcenter.of('WaitForUpdatesEx'), { timeout: 10_000 }).toHaveLength(1);
    if (how === 'signal') controller.abort();
    const error = await failure;
    expect(error).toBeInstanceOf(how === 'signal' ? CancelledError : TimeoutError);
    expect(vcenter.of('CancelTask').map((call) => call.self)).toEqual(['task-1']);
    await expect.poll(() => vcenter.of('DestroyPropertyCollector'), { timeout: 10_000 }).toHaveLength(1);
  });

  it('outlives an expired session', async () => {
    const client = await connect();
    const { info } = scriptTask(SUCCESS);
    vcenter
      .on('CreateSnapshot_Task', TASK)
      .on('RetrievePropertiesEx', inventory({ 'task-1': { info }, 'vm-16': { snapshot: SNAPSHOTS('newer') } }));
    const create = vcenter.of.bind(vcenter);
    let expired = false;
    vcenter.on('WaitForUpdatesEx', (call) => {
      if (!expired) {
        expired = true;
        vcenter.sessions.clear();
        return new Fault('NotAuthenticated', 'The session is not authenticated.');
      }
      if (call.self.endsWith('-1')) return new Fault('ManagedObjectNotFound', 'gone with its session');
      return `<returnval><version>9</version><filterSet><filter type="PropertyFilter">f</filter><objectSet><kind>enter</kind><obj type="Task">task-1</obj>${SUCCESS}</objectSet></filterSet></returnval>`;
    });
    await client.createSnapshot('vm-16', { name: 's', description: '', quiesce: false, timeoutMs: 5_000 });
    expect(create('CreateSnapshot_Task')).toHaveLength(1);
    expect(create('CreatePropertyCollector')).toHaveLength(2);
  });

  it('lets a snapshot removal go on when nobody waits any more', async () => {
    const client = await connect();
    scriptTask(SUCCESS);
    vcenter
      .on('RemoveSnapshot_Task', TASK)
      .on('WaitForUpdatesEx', SILENCE)
      .on('RetrievePropertiesEx', inventory({ 'vm-16': { snapshot: SNAPSHOTS('newer') } }));
    const controller = new AbortController();
    const failure = failureOf(client.removeSnapshot('vm-16', 'snapshot-9', controller.signal));
    await expect.poll(() => vcenter.of('WaitForUpdatesEx'), { timeout: 10_000 }).toHaveLength(1);
    controller.abort();
    expect(await failure).toBeInstanceOf(CancelledError);
    await expect.poll(() => vcenter.of('DestroyPropertyCollector'), { timeout: 10_000 }).toHaveLength(1);
    expect(vcenter.of('CancelTask')).toEqual([]);
  });

  it('takes a snapshot that is gone for removed', async () => {
    const client = await connect();
    vcenter.on('RetrievePropertiesEx', inventory({ 'vm-16': { snapshot: SNAPSHOTS('newer') }, 'vm-17': {} }));
    await client.removeSnapshot('vm-16', 'snapshot-1');
    await client.removeSnapshot('vm-17', 'snapshot-1');
    await client.removeSnapshot('vm-404', 'snapshot-1');
    expect(vcenter.of('RemoveSnapshot_Task')).toEqual([]);
  });

  it('removes a snapshot, waits out other tasks on the VM, and looks whether it is gone', async () => {
    const client = await connect();
    const { info } = scriptTask(SUCCESS, '');
    let busy = 1;
    let present = true;
    vcenter
      .on('RemoveSnapshot_Task', () => {
        if (busy-- > 0) return new Fault('TaskInProgress', 'Another task is already in progress.');
        present = false;
        return TASK;
      })
      .on('RetrievePropertiesEx', (call) =>
        inventory({ 'task-1': { info }, 'vm-16': present ? { snapshot: SNAPSHOTS('newer') } : {} })(call),
      );
    await client.removeSnapshot('vm-16', 'snapshot-9');
    expect(
      vcenter
        .of('RemoveSnapshot_Task')[1]
        ?.body.elements()
        .map((e) => [e.local, e.text()]),
    ).toEqual([
      ['_this', 'snapshot-9'],
      ['removeChildren', 'false'],
      ['consolidate', 'true'],
    ]);
  });
});

describe('changed areas', () => {
  const disk = { deviceKey: 2000, capacityBytes: 1_073_742_336 };

  it('asks on until the whole disk is answered for', async () => {
    const client = await connect();
    vcenter.on('QueryChangedDiskAreas', (call) => {
      const start = Number(call.body.textAt('startOffset'));
      return start === 0
        ? '<returnval><startOffset>0</startOffset><length>536870912</length><changedArea><start>65536</start><length>65536</length></changedArea></returnval>'
        : `<returnval><startOffset>${start}</startOffset><length>536871424</length><changedArea><start>1073676288</start><length>131072</length></changedArea></returnval>`;
    });
    const areas = await client.queryChangedAreas('vm-16', 'snapshot-9', disk, '52 aa/7');
    expect(areas).toEqual([
      { offsetBytes: 65_536, lengthBytes: 65_536 },
      { offsetBytes: 1_073_676_288, lengthBytes: 66_048 },
    ]);
    expect(vcenter.of('QueryChangedDiskAreas').map((call) => call.body.elements().map((e) => e.text()))).toEqual([
      ['vm-16', 'snapshot-9', '2000', '0', '52 aa/7'],
      ['vm-16', 'snapshot-9', '2000', '536870912', '52 aa/7'],
    ]);
  });

  it.each([
    [new Fault('FileFault', 'Error caused by file'), 'CHANGE_TRACKING_LOST'],
    [
      new Fault('InvalidArgument', 'A specified parameter was not correct: changeId', '<invalidProperty>changeId</invalidProperty>'),
      'CHANGE_TRACKING_LOST',
    ],
    [
      new Fault('InvalidArgument', 'A specified parameter was not correct: deviceKey', '<invalidProperty>deviceKey</invalidProperty>'),
      'INVALID_ARGUMENT',
    ],
    [new Fault('HostCommunication', 'Unable to communicate with the host.'), 'HOST_COMMUNICATION'],
  ])('answers %o with %s', async (fault, code) => {
    const client = await connect();
    vcenter.on('QueryChangedDiskAreas', fault);
    const error = await failureOf(client.queryChangedAreas('vm-16', 'snapshot-9', disk, '52 aa/7'));
    expect([error.code, error.faultType]).toEqual([code, fault.type]);
    expect(error.subject).toContain('disk 2000');
  });
});

describe('datastore files', () => {
  const tree = {
    'group-d1': {
      childEntity:
        '<val><ManagedObjectReference type="Folder">group-d2</ManagedObjectReference><ManagedObjectReference type="Datacenter">dc-2</ManagedObjectReference></val>',
      name: '<val>Datacenters</val>',
    },
    'group-d2': {
      childEntity: '<val><ManagedObjectReference type="Datacenter">dc-1</ManagedObjectReference></val>',
      name: '<val>EU &amp; UK</val>',
      parent: '<val type="Folder">group-d1</val>',
    },
    'dc-1': {
      datastore: '<val><ManagedObjectReference type="Datastore">datastore-1</ManagedObjectReference></val>',
      name: '<val>DC 1</val>',
      parent: '<val type="Folder">group-d2</val>',
    },
    'dc-2': {
      datastore: '<val><ManagedObjectReference type="Datastore">datastore-2</ManagedObjectReference></val>',
      name: '<val>DC 2</val>',
      parent: '<val type="Folder">group-d1</val>',
    },
    'datastore-1': { name: '<val>ds 1</val>' },
    'datastore-2': { name: '<val>ds 2</val>' },
    'vm-16': { parent: '<val type="Datacenter">dc-2</val>' },
  };

  it('go up and down under the session, with the datacenter’s path', async () => {
    const client = await connect();
    vcenter.on('RetrievePropertiesEx', inventory(tree));
    const data = Buffer.from([0, 1, 2, 0xff, 0xfe]);
    await client.uploadFile('[ds 1] web #1/web.nvram', data);
    expect([...vcenter.files.keys()]).toEqual(['/folder/web%20%231/web.nvram?dcPath=EU+%26+UK%2FDC+1&dsName=ds+1']);
    vcenter.sessions.clear();
    expect(await client.downloadFile('[ds 1] web #1/web.nvram')).toEqual(data);
    const error = await failureOf(client.downloadFile('[ds 1] none.nvram'));
    expect([error.code, error.subject]).toEqual(['NOT_FOUND', '[ds 1] none.nvram']);
  });

  it('are refused for a path that leaves the datastore, and for a datastore nobody has', async () => {
    const client = await connect();
    vcenter.on('RetrievePropertiesEx', inventory(tree));
    expect((await failureOf(client.downloadFile('[ds 1] ../x'))).code).toBe('BAD_PATH');
    expect((await failureOf(client.downloadFile('[ds 3] x'))).code).toBe('NOT_FOUND');
  });

  it('ask which datacenter, where two have a datastore of that name', async () => {
    const client = await connect();
    vcenter.on('RetrievePropertiesEx', inventory({ ...tree, 'datastore-2': { name: '<val>ds 1</val>' } }));
    expect((await failureOf(client.uploadFile('[ds 1] a', Buffer.from('x')))).code).toBe('AMBIGUOUS_DATASTORE');
    await client.uploadFile('[ds 1] a', Buffer.from('x'), undefined, 'vm-16');
    expect([...vcenter.files.keys()]).toEqual(['/folder/a?dcPath=DC+2&dsName=ds+1']);
  });
});
