/**
 * The product's vCenter client against vcsim, which knows nothing of us. What vcsim does not have
 * (changed disk areas, delta disks, content of disks, refusing XML out of order) it cannot prove.
 */
import assert from 'node:assert/strict';
import { request } from 'node:https';
import { withVcsim } from './vcsim.mjs';

/** With the four that vcsim makes: a large vCenter's VMs. */
const COPIES = 4_996;
const PAGE_OBJECTS = 100;

export async function vcsimChecks(checks, vcsimPath, { VsphereClient, VsphereError }) {
  try {
    await withVcsim(vcsimPath, ['-copies', String(COPIES)], (connection) =>
      withClient(checks, { ...connection, trust: { thumbprint: connection.thumbprintSha256 } }, { VsphereClient, VsphereError }),
    );
  } catch (error) {
    checks.fail('vcsim: the checks', error);
  }
}

async function withClient(checks, connection, { VsphereClient, VsphereError }) {
  const failure = async (code, work) => {
    await assert.rejects(work, (error) => {
      assert.ok(error instanceof VsphereError, `${error}`);
      assert.equal(error.code, code, error.message);
      return true;
    });
  };
  await checks.check('vcsim: a wrong password and a wrong thumbprint are told apart', async () => {
    await failure('LOGIN_REFUSED', () => VsphereClient.connect({ ...connection, password: 'wrong' }));
    const trust = { thumbprint: 'AB:'.repeat(32).slice(0, -1) };
    await failure('CERTIFICATE_UNTRUSTED', () => VsphereClient.connect({ ...connection, trust }));
  });
  let client;
  const connected = await checks.check('vcsim: login with a pinned certificate and a password full of XML', async () => {
    client = await VsphereClient.connect(connection);
    assert.match(client.instanceUuid, /^[0-9a-f-]{36}$/);
    assert.notEqual(client.vixCredentials().cookie, '');
  });
  if (!connected) return;
  try {
    await survey(checks, client);
    await sessionEnds(checks, client, connection, VsphereClient);
    await useClient(checks, client, connection.vmFolder, failure);
  } finally {
    await client.close();
  }
}

async function survey(checks, client) {
  await checks.check('vcsim: 5,000 VMs, in pages of which one is held', async () => {
    const names = new Set();
    let largest = 0;
    for await (const page of client.survey.vms()) {
      largest = Math.max(largest, page.length);
      for (const vm of page) names.add(vm.name);
      assert.ok(page.every((vm) => /^vmx-\d+$/.test(vm.hardwareVersion) && vm.connectionState === 'connected'));
    }
    assert.equal(names.size, COPIES + 4);
    assert.ok(largest <= PAGE_OBJECTS, `a page had ${largest} VMs`);
  });
  await checks.check('vcsim: a listing that is left early leaves nothing behind', async () => {
    for await (const page of client.survey.vms()) if (page.length > 0) break;
    assert.equal((await client.survey.hosts()).length, 4);
  });
  await checks.check('vcsim: hosts with state and time servers, datastores with type, the time', async () => {
    const hosts = await client.survey.hosts();
    assert.ok(hosts.every((host) => host.connectionState === 'connected' && host.powerState === 'poweredOn' && !host.inMaintenanceMode));
    assert.match(hosts[0].product, /ESXi/);
    const datastores = await client.survey.datastores();
    assert.deepEqual(
      datastores.map(({ name, type, accessible }) => [name, type, accessible]),
      [['LocalDS_0', 'OTHER', true]],
    );
    assert.ok(Math.abs((await client.survey.currentTime()).getTime() - Date.now()) < 60_000);
  });
  await checks.check('vcsim: its roles grant every privilege we ask for', async () => {
    assert.deepEqual(
      (await client.survey.missingPrivileges()).map(({ id }) => id),
      [],
    );
  });
}

async function sessionEnds(checks, client, connection, VsphereClient) {
  await checks.check('vcsim: a session somebody ended is opened again once, for all that wait', async () => {
    const before = client.vixCredentials().cookie;
    // The same session under another connection: its logout ends it for both.
    await endSession(connection, before);
    const found = await Promise.all(Array.from({ length: 10 }, () => client.findVmByInstanceUuid('00000000-0000-0000-0000-000000000000')));
    assert.deepEqual(new Set(found), new Set([undefined]));
    const after = client.vixCredentials().cookie;
    assert.notEqual(after, before);
    assert.ok(after.length > 0);
  });
  await checks.check('vcsim: and where a question for properties is the first that meets it', async () => {
    const before = client.vixCredentials().cookie;
    await endSession(connection, before);
    assert.equal(await client.findVmInFolder(connection.vmFolder, 'nobody'), undefined);
    assert.notEqual(client.vixCredentials().cookie, before);
  });
  await checks.check('vcsim: a second client is a second session', async () => {
    const other = await VsphereClient.connect(connection);
    assert.notEqual(other.vixCredentials().cookie, client.vixCredentials().cookie);
    await other.close();
    await client.survey.currentTime();
  });
}

/** SessionManager.Logout by hand: what an administrator does with "disconnect" in the vSphere Client. */
function endSession({ url, thumbprintSha256 }, cookie) {
  const { hostname, port } = new URL(url);
  const body =
    '<?xml version="1.0"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>' +
    '<Logout xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this></Logout></soapenv:Body></soapenv:Envelope>';
  const headers = { Cookie: `vmware_soap_session="${cookie}"`, 'Content-Type': 'text/xml', SOAPAction: '"urn:vim25/6.5"' };
  return new Promise((resolve, reject) => {
    const options = { hostname, port, path: '/sdk', method: 'POST', headers, rejectUnauthorized: false, timeout: 10_000 };
    const call = request(options, (response) => {
      // The address was just printed by our own child, on the loopback interface; this says that it is still the same.
      const seen = response.socket.getPeerCertificate().fingerprint256.replaceAll(':', '');
      response.resume();
      response.on('end', () =>
        response.statusCode === 200 && seen === thumbprintSha256 ? resolve() : reject(new Error(`HTTP ${response.statusCode}`)),
      );
    });
    call.on('error', reject);
    call.end(body);
  });
}

async function useClient(checks, client, folder, failure) {
  const state = {};
  const read = await checks.check('vcsim: findVmInFolder, readVm, findVmByInstanceUuid', async () => {
    state.source = await client.findVmInFolder(folder, 'DC0_C0_RP0_VM0');
    assert.ok(state.source, 'the VM is not in its folder');
    state.vm = await client.readVm(state.source);
    assert.equal(state.vm.name, 'DC0_C0_RP0_VM0');
    assert.deepEqual(
      [state.vm.powerState, state.vm.disks.length, state.vm.datastores.map((each) => each.name)],
      ['poweredOn', 1, ['LocalDS_0']],
    );
    assert.ok(state.vm.disks[0].capacityBytes > 0);
    assert.equal(await client.findVmByInstanceUuid(state.vm.instanceUuid), state.source);
    assert.equal(await client.findVmByInstanceUuid('00000000-0000-0000-0000-000000000000'), undefined);
    await failure('NOT_FOUND', () => client.readVm('vm-99999'));
  });
  if (!read) return;
  await snapshots(checks, client, state);
  await checks.check('vcsim: enableChangeTracking', async () => {
    await client.enableChangeTracking(state.source);
    assert.equal((await client.readVm(state.source)).changeTrackingEnabled, true);
  });
  await checks.check('vcsim: queryChangedAreas, which vcsim lacks, is one clear error', async () => {
    const disk = { deviceKey: state.vm.disks[0].deviceKey, capacityBytes: state.vm.disks[0].capacityBytes };
    await assert.rejects(() => client.queryChangedAreas(state.source, 'snapshot-1', disk, '*'), /refused asking what changed on disk/);
  });
  await checks.check('vcsim: placementOptions and datastoreName', async () => {
    state.placement = await client.placementOptions(state.vm.resourcePoolMoRef);
    assert.equal(state.placement.vmFolderMoRef, state.vm.folderMoRef);
    assert.equal(state.placement.hosts.length, 3);
    const [datastore] = state.placement.datastores;
    assert.deepEqual([datastore.name, datastore.accessible, datastore.freeBytes > 0], ['LocalDS_0', true, true]);
    assert.equal(await client.datastoreName(datastore.moRef), 'LocalDS_0');
  });
  await creation(checks, client, state, failure);
}

async function snapshots(checks, client, state) {
  await checks.check('vcsim: createSnapshot, listSnapshots, snapshotDisks, removeSnapshot', async () => {
    const options = { description: 'a < b & c', quiesce: false, timeoutMs: 20_000 };
    const first = await client.createSnapshot(state.source, { name: 'first / 100 %', ...options });
    const second = await client.createSnapshot(state.source, { name: 'second', ...options });
    const nodes = await client.listSnapshots(state.source);
    assert.deepEqual(
      nodes.map(({ moRef, name, description, parentMoRef }) => [moRef, name, description, parentMoRef]),
      [
        [first.moRef, 'first / 100 %', 'a < b & c', undefined],
        [second.moRef, 'second', 'a < b & c', first.moRef],
      ],
    );
    assert.equal((await client.snapshotDisks(second.moRef))[0].path, state.vm.disks[0].path);
    // Children first: vcsim panics when the current snapshot's parent goes before it.
    await client.removeSnapshot(state.source, second.moRef);
    await client.removeSnapshot(state.source, first.moRef);
    await client.removeSnapshot(state.source, first.moRef); // gone already: no error
    assert.deepEqual(await client.listSnapshots(state.source), []);
  });
}

async function creation(checks, client, state, failure) {
  const made = await checks.check('vcsim: createVm from the captured configuration', async () => {
    const place = { folderMoRef: state.vm.folderMoRef, resourcePoolMoRef: state.vm.resourcePoolMoRef, datastoreName: 'LocalDS_0' };
    state.copy = await client.createVm(state.vm.configXml, 'restored & <new>', place, { keepIdentity: false });
    const copy = await client.readVm(state.copy);
    assert.deepEqual(
      [copy.name, copy.powerState, copy.cpuCount, copy.memoryMib],
      ['restored & <new>', 'poweredOff', state.vm.cpuCount, state.vm.memoryMib],
    );
    assert.deepEqual(
      copy.disks.map((disk) => disk.capacityBytes),
      state.vm.disks.map((disk) => disk.capacityBytes),
    );
    assert.notEqual(copy.instanceUuid, state.vm.instanceUuid);
    assert.equal(await client.findVmInFolder(state.vm.folderMoRef, 'restored & <new>'), state.copy);
    state.copyVm = copy;
  });
  if (!made) return;
  await checks.check('vcsim: uploadFile and downloadFile, and NOT_FOUND for a file that is not there', async () => {
    const folder = state.copyVm.vmPath.replace(/[^/]*$/, '');
    const data = Buffer.from(Array.from({ length: 8684 }, (_, index) => (index * 31 + 5) & 0xff));
    await client.uploadFile(`${folder}a name & ü.nvram`, data, undefined, state.copy);
    assert.ok((await client.downloadFile(`${folder}a name & ü.nvram`)).equals(data));
    await failure('NOT_FOUND', () => client.downloadFile(`${folder}nothing.nvram`));
  });
  await checks.check('vcsim: powerOff twice, destroyVm twice, unregisterVm', async () => {
    await client.powerOff(state.source);
    await client.powerOff(state.source);
    assert.equal((await client.readVm(state.source)).powerState, 'poweredOff');
    await client.destroyVm(state.copy);
    await client.destroyVm(state.copy);
    await failure('NOT_FOUND', () => client.readVm(state.copy));
    await client.unregisterVm(state.source);
    assert.equal(await client.findVmByInstanceUuid(state.vm.instanceUuid), undefined);
  });
}
