import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { vixDiskTarget, vixTarget } from '../../src/clouds/index.js';
import type { VddkHost } from '../../src/vddk/index.js';
import { type FirstClassDisk, VsphereClient } from '../../src/vsphere/index.js';
import { attach, detach, readFromDisk, writeToDisk } from '../harness/first-class-disk-content.js';
import { VsphereModel } from '../simulator/model/index.js';
import { serverCertificate } from '../simulator/tls.js';
import { VcenterServer } from '../simulator/vsphere/index.js';
import { pattern, Workshop } from './vddk-fixtures.js';

/** First class disks through vddk-host and the stand-in: connected by their id, without a VM. */
const ACCOUNT = { userName: 'administrator@vsphere.local', password: 'simulated-pa55word' };
const MIB = 2 ** 20;
const TIB = 2 ** 40;
/** Past 2^32 sectors' half and past 2 TiB: what 32 bits would lose. */
const FAR = 2 * TIB + 3 * MIB;
const SIZE_MIB = 2 * 1024 * 1024 + 8;
const BLOCK = 65_536;
const NBD = { transportModes: 'nbdssl' };
const workshop = new Workshop();
let dataDir: string;
let model: VsphereModel;
let server: VcenterServer;
let client: VsphereClient;
let disk: FirstClassDisk;
let host: VddkHost;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'vddk-fcd-'));
  model = await VsphereModel.open({ dataDir });
  const certificate = await serverCertificate(join(dataDir, 'certificate.json'), 'vcenter', ['127.0.0.1']);
  server = new VcenterServer({ model, ...certificate, ...ACCOUNT, taskTiming: { minMs: 1, maxMs: 5 } });
  await server.listen();
  client = await VsphereClient.connect({ url: server.url, ...ACCOUNT, trust: { thumbprint: server.thumbprintSha1 } });
  disk = await client.firstClassDisks.create({
    name: 'wide',
    datastoreMoRef: model.datastores()[0]?.moRef ?? '',
    capacityMib: SIZE_MIB,
    provisioning: 'thin',
    keepAfterDeleteVm: true,
    policyId: undefined,
    metadata: [],
  });
  host = await workshop.startHost();
});
afterEach(async () => {
  for (const { id } of await client.firstClassDisks.snapshots(disk)) await client.firstClassDisks.removeSnapshot(disk, id);
});
afterAll(async () => {
  await workshop.clear();
  await client?.close();
  await server?.close();
  await model?.close();
  await rm(dataDir, { recursive: true, force: true });
});

describe('a first class disk', () => {
  it('is read as its snapshot froze it, past 2 TiB, under any path', async () => {
    const [near, far] = [pattern('near', BLOCK), pattern('far', BLOCK)];
    await writeToDisk(model, 'wide', MIB, near);
    await writeToDisk(model, 'wide', FAR, far);
    const snapshot = await client.firstClassDisks.createSnapshot(disk, 'for the test', 60_000);
    await writeToDisk(model, 'wide', FAR, pattern('later', BLOCK));

    const connection = await host.connect(vixDiskTarget(client, disk, snapshot.id), { readOnly: true, ...NBD });
    const open = await connection.openDisk(disk.id, {});
    expect(open.capacityBytes).toBe(SIZE_MIB * MIB);
    expect(await open.queryAllocated()).toEqual([
      { offsetBytes: MIB, lengthBytes: BLOCK },
      { offsetBytes: FAR, lengthBytes: BLOCK },
    ]);
    await open.read([
      { offsetBytes: MIB, lengthBytes: BLOCK, memoryOffset: 0 },
      { offsetBytes: FAR, lengthBytes: BLOCK, memoryOffset: BLOCK },
    ]);
    expect(host.memory.subarray(0, BLOCK).equals(near)).toBe(true);
    expect(host.memory.subarray(BLOCK, 2 * BLOCK).equals(far)).toBe(true);
    await open.close();
    await connection.disconnect();
  });

  it('is written as it is now, also on top of a snapshot, past 2 TiB', async () => {
    await client.firstClassDisks.createSnapshot(disk, 'below', 60_000);
    const connection = await host.connect(vixDiskTarget(client, disk), { readOnly: false, ...NBD });
    const open = await connection.openDisk(disk.id, {});
    const written = pattern('written', BLOCK);
    written.copy(host.memory);
    await open.write([{ offsetBytes: FAR + MIB, lengthBytes: BLOCK, memoryOffset: 0 }]);
    await open.flush();
    await open.close();
    await connection.disconnect();
    expect((await readFromDisk(model, 'wide', FAR + MIB, BLOCK)).equals(written)).toBe(true);
  });

  it('is not found under a snapshot or datastore that it does not have, and not opened while a VM has it', async () => {
    const refused = async (target: Parameters<VddkHost['connect']>[0]) => {
      const connection = await host.connect(target, { readOnly: true, ...NBD });
      return connection.openDisk(disk.id, {});
    };
    await expect(refused(vixDiskTarget(client, disk, 'no-such-snapshot'))).rejects.toMatchObject({
      code: 'VIX_FILE_NOT_FOUND',
      subject: `first class disk ${disk.id}`,
    });
    await expect(refused(vixDiskTarget(client, { ...disk, datastoreMoRef: 'datastore-0' }))).rejects.toMatchObject({ vixCode: 4 });
    const { moRef } = await model.createVm({
      name: 'borrower',
      folderMoRef: model.vmFolderMoRef,
      resourcePoolMoRef: model.rootResourcePoolMoRef,
      datastoreName: model.datastores()[0]?.name ?? '',
      disks: [{ capacityBytes: MIB }],
    });
    await attach(model, 'wide', moRef);
    await expect(refused(vixDiskTarget(client, disk))).rejects.toMatchObject({ vixCode: 13 });
    await detach(model, 'wide');
    // The same host goes on with VMs.
    const ofVm = await host.connect(vixTarget(client, moRef), { readOnly: true, ...NBD });
    await ofVm.disconnect();
  });
});
