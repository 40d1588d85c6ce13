import { describe, expect, it } from 'vitest';
import type { VcdClient } from '../../src/vcd/index.js';
import {
  client,
  connect,
  failure,
  TASK,
  task,
  useScriptedVcd,
  VAPP,
  VDC,
  VIM,
  VM,
  vapp,
  vappRecords,
  vcd,
  vm,
} from './vcd-client-fixture.js';

useScriptedVcd();

describe('imports', () => {
  const params = () => ({
    vimServerHref: vcd.href(VIM),
    vmMoRef: 'vm-77',
    vdcHref: vcd.href(VDC),
    vappName: 'shop',
    vappDescription: 'a <shop>',
    vmName: 'web',
  });
  const POST_IMPORT = `POST ${VIM}/importVmAsVApp`;

  it('waits for the embedded task and finds the VM by its moRef', async () => {
    await connect();
    vcd.on('GET /api/query', { body: vappRecords() });
    vcd.on(POST_IMPORT, {
      status: 201,
      headers: { location: vcd.href(VAPP) },
      body: vapp(`<Tasks>${task('running')}</Tasks>`, 'status="0"'),
    });
    vcd.on(`GET ${TASK}`, { body: task('running') }, { body: task('success') });
    vcd.on(
      `GET ${VAPP}`,
      { body: vapp(`<Tasks>${task('running')}</Tasks>`, 'status="0"') },
      { body: vapp(`<Children>${vm('vm-77')}</Children>`) },
    );
    expect(await client?.importVmAsVapp(params())).toEqual({ vappHref: vcd.href(VAPP), vmHref: vcd.href(VM) });
    expect(vcd.requests(POST_IMPORT)[0]?.headers['content-type']).toBe('application/vnd.vmware.admin.importVmAsVAppParams+xml');
  });

  it('deletes the half-made vApp of a failed task and tells what VCD said', async () => {
    await connect();
    vcd.on('GET /api/query', { body: vappRecords() });
    vcd.on(POST_IMPORT, { status: 201, body: vapp(`<Tasks>${task('running')}</Tasks>`, 'status="0"') });
    const failed = task('error', '<Error majorErrorCode="500" minorErrorCode="VC_ERROR" message="The datastore\nis full"/>');
    vcd.on(`GET ${TASK}`, { body: failed });
    vcd.on(`GET ${VAPP}`, { body: vapp(`<Tasks>${task('running')}</Tasks>`, 'status="0"') }, { body: vapp('', 'status="-1"') });
    vcd.on(`DELETE ${VAPP}`, { status: 202, body: task('success') });
    const error = await failure((client as VcdClient).importVmAsVapp(params()));
    expect([error.code, error.minorErrorCode]).toEqual(['TASK_FAILED', 'VC_ERROR']);
    expect(error.message).toBe('Importing VM vm-77 as vApp "shop" failed: The datastore is full.');
    expect(vcd.requests(`DELETE ${VAPP}`)).toHaveLength(1);
  });

  it('looks whether a lost import happened instead of importing twice', async () => {
    await connect();
    vcd.on('GET /api/query', { body: vappRecords() }, { body: vappRecords() }, { body: vappRecords('shop') });
    vcd.on(POST_IMPORT, { drop: true });
    vcd.on(`GET ${VAPP}`, { body: vapp(`<Children>${vm('vm-77')}</Children>`) });
    expect((await client?.importVmAsVapp(params()))?.vmHref).toBe(vcd.href(VM));
    expect(vcd.requests(POST_IMPORT)).toHaveLength(1);
  });

  it('repeats it when it did not', async () => {
    await connect();
    vcd.on('GET /api/query', { body: vappRecords() });
    vcd.on(POST_IMPORT, { drop: true }, { status: 201, body: vapp() });
    vcd.on(`GET ${VAPP}`, { body: vapp(`<Children>${vm('vm-77')}</Children>`) });
    await client?.importVmAsVapp(params());
    expect(vcd.requests(POST_IMPORT)).toHaveLength(2);
  });

  it('refuses a name that is taken before anything is sent', async () => {
    await connect();
    vcd.on('GET /api/query', { body: vappRecords('shop') });
    expect((await failure((client as VcdClient).importVmAsVapp(params()))).code).toBe('DUPLICATE_NAME');
    expect(vcd.requests('POST /api')).toEqual([]);
  });

  it('is not sent again when it is the task that cannot be looked at, and has VCD stop that task', async () => {
    await connect({ retryDeadlineMs: 40, retryBaseDelayMs: 10 });
    vcd.on(`GET ${VAPP}`, { body: vapp() });
    vcd.on(`POST ${VIM}/importVmIntoExistingVApp`, { status: 202, body: task('running') });
    vcd.on(`GET ${TASK}`, { drop: true });
    vcd.on(`POST ${TASK}/action/cancel`, { status: 204 });
    const error = await failure(
      (client as VcdClient).importVmIntoExistingVapp({
        vimServerHref: vcd.href(VIM),
        vmMoRef: 'vm-77',
        vappHref: vcd.href(VAPP),
        vmName: 'web',
      }),
    );
    expect(error.code).toBe('CONNECTION_LOST');
    expect(vcd.requests(`POST ${VIM}/importVmIntoExistingVApp`)).toHaveLength(1);
    expect(vcd.requests(`POST ${TASK}/action/cancel`)).toHaveLength(1);
  });

  it('removes the VM that a failed import into a vApp left behind, and no other', async () => {
    await connect();
    const other = vm('vm-1').replaceAll('0000000000b1', '0000000000b9');
    vcd.on(`GET ${VAPP}`, { body: vapp(`<Children>${other}</Children>`) }, { body: vapp(`<Children>${other}${vm('', 0)}</Children>`) });
    vcd.on(`POST ${VIM}/importVmIntoExistingVApp`, { status: 202, body: task('aborted') });
    vcd.on(`DELETE ${VM}`, { status: 202, body: task('success') });
    const error = await failure(
      (client as VcdClient).importVmIntoExistingVapp({
        vimServerHref: vcd.href(VIM),
        vmMoRef: 'vm-77',
        vappHref: vcd.href(VAPP),
        vmName: 'web',
      }),
    );
    expect(error.code).toBe('TASK_ABORTED');
    expect(vcd.requests('DELETE').map((request) => request.path)).toEqual([VM]);
  });
});
