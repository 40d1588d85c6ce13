import { mkdtemp, readdir, rm } from 'node:fs/promises';
import * as https from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MIB, parseXml, trustingAgent, type XmlElement } from '../../../src/common/index.js';
import { DiskChain } from '../datastore/index.js';
import { serverCertificate } from '../tls.js';
import { VcenterServer, VsphereModel } from './index.js';

const ACCOUNT = { userName: 'administrator@vsphere.local', password: 'Sim-vCenter-1!' };
let dataDir: string;
let model: VsphereModel;
let server: VcenterServer;
let agent: https.Agent;
let cookie = '';
let datastore: string;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'sim-first-class-'));
  model = await VsphereModel.open({ dataDir });
  const certificate = await serverCertificate(join(dataDir, 'certificate.json'), 'vcenter', ['127.0.0.1']);
  server = new VcenterServer({ model, ...certificate, ...ACCOUNT, taskTiming: { minMs: 5, maxMs: 10 } });
  await server.listen();
  agent = trustingAgent({ thumbprint: server.thumbprintSha1 });
  cookie = server.sessions.login(ACCOUNT.userName, ACCOUNT.password, { address: '', userAgent: '' }).cookie;
  datastore = model.datastores()[0]?.moRef as string;
});
afterAll(async () => {
  agent?.destroy();
  await server?.close();
  await model?.close();
  await rm(dataDir, { recursive: true, force: true });
});

/** @returns the response element, or the type of its fault. */
function soap(
  operation: string,
  args: string,
  [type, moRef] = ['VcenterVStorageObjectManager', 'VStorageObjectManager'],
): Promise<XmlElement | string> {
  const call = `<${operation} xmlns="urn:vim25"><_this type="${type}">${moRef}</_this>${args}</${operation}>`;
  const xml = `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><e:Body>${call}</e:Body></e:Envelope>`;
  const headers = { cookie: `vmware_soap_session="${cookie}"` };
  return new Promise((resolve, reject) => {
    const request = https.request({ agent, host: '127.0.0.1', port: server.port, path: '/sdk', method: 'POST', headers }, (response) => {
      let text = '';
      response.on('data', (part: Buffer) => {
        text += part.toString();
      });
      response.on('end', () => {
        const body = parseXml(text).child('Body')?.elements()[0] as XmlElement;
        resolve(body.child('detail')?.elements()[0]?.attribute('type') ?? body);
      });
    });
    request.on('error', reject);
    request.end(xml);
  });
}

async function answered(operation: string, args: string): Promise<XmlElement> {
  const answer = await soap(operation, args);
  if (typeof answer === 'string') throw new Error(`${operation}: ${answer}`);
  return answer;
}

/** @returns the task's result, or the type of its fault. */
async function finished(operation: string, args: string): Promise<XmlElement | string | undefined> {
  const task = (await answered(operation, args)).textAt('returnval') as string;
  for (let tries = 0; tries < 500; tries += 1) {
    const info = ((await soap('Fetch', '<prop>info</prop>', ['Task', task])) as XmlElement).child('returnval');
    if (info?.textAt('state') === 'success') return info.child('result');
    if (info?.textAt('state') === 'error') return info.find('error', 'fault')?.attribute('type');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`${task} did not end`);
}

const named = (id: string) => `<id><id>${id}</id></id><datastore type="Datastore">${datastore}</datastore>`;
const snapshotted = (id: string, snapshot: string) => `${named(id)}<snapshotId><id>${snapshot}</id></snapshotId>`;
const creation = (name: string, megabytes: number) =>
  `<spec><name>${name}</name><backingSpec xsi:type="VslmCreateSpecDiskFileBackingSpec"><datastore type="Datastore">${datastore}</datastore>` +
  `<provisioningType>thin</provisioningType></backingSpec><capacityInMB>${megabytes}</capacityInMB></spec>`;
const write = (path: string, offset: number, text: string) =>
  DiskChain.with(model.inventory.absolutePath(path), 'r+', (chain) => chain.write(offset, Buffer.from(text)));

async function ask(...requests: object[]): Promise<Record<string, unknown>[]> {
  const socket = connect(server.port, '127.0.0.1');
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const answers: Record<string, unknown>[] = [];
  socket.write('VIXSIM/1\n');
  for (const request of [{ op: 'hello', thumbprint: server.thumbprintSha1 }, { op: 'auth', kind: 'session', cookie }, ...requests]) {
    socket.write(`${JSON.stringify(request)}\n`);
    answers.push(JSON.parse((await lines.next()).value as string) as Record<string, unknown>);
  }
  socket.destroy();
  return answers.slice(2);
}

describe('first class disks', () => {
  it('are made, listed, snapshotted with their changes, opened by VDDK detached, and deleted', async () => {
    const made = (await finished('CreateDisk_Task', creation('data', 8))) as XmlElement;
    const id = made.textAt('config', 'id', 'id') as string;
    const path = made.textAt('config', 'backing', 'filePath') as string;
    const tracked = async () =>
      (await answered('RetrieveVStorageObject', named(id))).textAt('returnval', 'config', 'changedBlockTrackingEnabled');
    expect(await tracked()).toBe('false');
    await answered('SetVStorageObjectControlFlags', `${named(id)}<controlFlags>enableChangedBlockTracking</controlFlags>`);
    expect(await tracked()).toBe('true');
    expect(path).toMatch(/^\[ds-1\] fcd\/[0-9a-f]{32}\.vmdk$/);
    const listed = await answered('ListVStorageObject', `<datastore type="Datastore">${datastore}</datastore>`);
    expect(listed.elements().map((each) => each.textAt('id'))).toEqual([id]);

    await write(path, 0, 'first');
    const first = (
      (await finished('VStorageObjectCreateSnapshot_Task', `${named(id)}<description>one</description>`)) as XmlElement
    ).textAt('id') as string;
    const changeId = (await answered('RetrieveSnapshotDetails', snapshotted(id, first))).textAt('returnval', 'changedBlockTrackingId');
    const top = (await answered('RetrieveVStorageObject', named(id))).textAt('returnval', 'config', 'backing', 'filePath') as string;
    expect(top).not.toBe(path);
    const second = (
      (await finished('VStorageObjectCreateSnapshot_Task', `${named(id)}<description>two</description>`)) as XmlElement
    ).textAt('id') as string;
    const areas = `${snapshotted(id, second)}<startOffset>0</startOffset><changeId>${changeId}</changeId>`;
    const changed = await answered('VstorageObjectVCenterQueryChangedDiskAreas', areas);
    expect([changed.textAt('returnval', 'length'), changed.child('returnval')?.childrenNamed('changedArea').length]).toEqual([
      String(8 * MIB),
      0,
    ]);

    const connection = { op: 'connect', snapshot: null, readOnly: true, transportModes: 'nbdssl' };
    const spec = (snapshot: string) => ({ ...connection, storageObject: { id, datastore, snapshot } });
    // The path says nothing: the connection knows which disk is meant.
    const [connected, opened] = await ask(spec(first), { op: 'open', path: '[ds-1] other.vmdk', readOnly: true });
    expect([connected?.ok, opened?.capacitySectors]).toEqual([true, String((8 * MIB) / 512)]);
    const [, written] = await ask({ ...spec(first), readOnly: false }, { op: 'open', path: id, readOnly: false });
    expect(written).toMatchObject({ ok: false, vixError: 11 });
    expect((await ask(spec('none')))[0]).toMatchObject({ ok: false, vixError: 4 });

    expect(await finished('DeleteVStorageObject_Task', named(id))).toBe('InvalidState');
    for (const snapshot of [first, second]) expect(await finished('DeleteSnapshot_Task', snapshotted(id, snapshot))).toBeUndefined();
    const merged = (await answered('RetrieveVStorageObject', named(id))).textAt('returnval', 'config', 'backing', 'filePath');
    expect(merged).toBe(path);
    const content = await DiskChain.with(model.inventory.absolutePath(path), 'r', (chain) => chain.read(0, 5));
    expect(content.toString()).toBe('first');
    expect(await finished('DeleteVStorageObject_Task', named(id))).toBeUndefined();
    expect(await readdir(join(model.datastores()[0]?.directory as string, 'fcd'))).toEqual([]);
    expect(await soap('RetrieveVStorageObject', named(id))).toBe('NotFound');
  });

  it('are refused where the request is not what the schema has', async () => {
    expect(
      await soap('CreateDisk_Task', creation('data', 8).replace('VslmCreateSpecDiskFileBackingSpec', 'VslmCreateSpecBackingSpec')),
    ).toBe('InvalidRequest');
    expect(await soap('CreateDisk_Task', creation('data', 8).replace('<name>data</name>', ''))).toBe('InvalidRequest');
    expect(await finished('CreateDisk_Task', creation('data', 0))).toBe('InvalidArgument');
  });
});
