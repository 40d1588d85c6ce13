import { describe, expect, it } from 'vitest';
import type { VcdClient } from '../../src/vcd/index.js';
import { errorXml } from './scripted-vcd.js';
import { client, connect, failure, GONE, task, useScriptedVcd, VAPP, VM, vapp, vcd } from './vcd-client-fixture.js';

useScriptedVcd();

describe('maintenance mode and deletion', () => {
  it('waits for tasks of the vApp and of each VM', async () => {
    await connect();
    const busyVm = `<Children><Vm name="web" href="${vcd.href(VM)}"><Tasks>${task('queued')}</Tasks></Vm></Children>`;
    vcd.on(
      `GET ${VAPP}`,
      { body: vapp(`<Tasks>${task('running')}</Tasks>`) },
      { body: vapp(busyVm) },
      { body: vapp(`<Tasks>${task('error')}</Tasks>`) },
    );
    await client?.waitForRunningTasks(vcd.href(VAPP), 1_000);
    expect(vcd.requests(`GET ${VAPP}`)).toHaveLength(3);
    vcd.on(`GET ${VAPP}`, { body: vapp(busyVm) });
    const error = await failure((client as VcdClient).waitForRunningTasks(vcd.href(VAPP), 30));
    expect([error.code, error.subject]).toEqual(['TASK_TIMEOUT', 'vApp "shop"']);
  });

  it('takes a lost answer for done when the state says so', async () => {
    await connect();
    vcd.on(`GET ${VAPP}`, { body: vapp() }, { body: vapp('<InMaintenanceMode>true</InMaintenanceMode>') });
    vcd.on(`POST ${VAPP}/action/enterMaintenanceMode`, { status: 400, body: errorXml(400, 'BAD_REQUEST', 'already') });
    await client?.enterMaintenanceMode(vcd.href(VAPP));
    await client?.enterMaintenanceMode(vcd.href(VAPP));
    expect(vcd.requests('POST /api')).toHaveLength(1);
  });

  it('stops a running vApp, deletes it, and takes absence for success', async () => {
    await connect();
    vcd.on(`GET ${VAPP}`, { body: vapp('', 'status="4" deployed="true"') });
    vcd.on(`POST ${VAPP}/action/undeploy`, { status: 202, body: task('success') });
    vcd.on(`DELETE ${VAPP}`, { status: 202, body: task('success') });
    await client?.deleteVapp(vcd.href(VAPP));
    expect(vcd.requests(`POST ${VAPP}`)[0]?.body).toContain('<vcloud:UndeployPowerAction>powerOff</vcloud:UndeployPowerAction>');
    vcd.on(`GET ${VAPP}`, GONE);
    await client?.deleteVapp(vcd.href(VAPP));
    await client?.exitMaintenanceMode(vcd.href(VAPP));
    expect((await failure((client as VcdClient).enterMaintenanceMode(vcd.href(VAPP)))).code).toBe('VAPP_NOT_FOUND');
    expect(vcd.requests('DELETE /api')).toHaveLength(1);
  });
});
