import { mkdtemp, rm } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MIB } from '../../../src/common/index.js';
import { VsphereModel, type SimVm } from '../model/index.js';
import { disableMethods, MOVING_METHODS, requireEnabled } from '../model/disabled-methods.js';
import { enterMaintenance, exitMaintenance, hostOf, relocateVm } from '../model/relocation.js';
import { serverCertificate } from '../tls.js';
import { VcenterServer } from '../vsphere/index.js';

const ACCOUNT = { userName: 'administrator@vsphere.local', password: 'Sim-vCenter-1!' };
let dataDir: string;
let model: VsphereModel;
let server: VcenterServer;
let vm: SimVm;
let sockets: Socket[];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'sim-vix-door-'));
  model = await VsphereModel.open({ dataDir, datastoreNames: ['ds-1', 'ds-2'] });
  const certificate = await serverCertificate(join(dataDir, 'certificate.json'), 'vcenter', ['127.0.0.1']);
  server = new VcenterServer({ model, ...certificate, ...ACCOUNT, taskTiming: { minMs: 5, maxMs: 10 } });
  await server.listen();
  vm = await model.createVm({
    name: 'web',
    folderMoRef: model.vmFolderMoRef,
    resourcePoolMoRef: model.rootResourcePoolMoRef,
    datastoreName: 'ds-1',
    disks: [{ capacityBytes: MIB }],
  });
  sockets = [];
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await server.close();
  await model.close();
  await rm(dataDir, { recursive: true, force: true });
});

type Answer = Record<string, unknown> & { ok: boolean };

/** One line to the door, as the stand-in library holds it. */
class Line {
  private readonly answers: AsyncIterator<string>;
  private constructor(
    private readonly socket: Socket,
    lines: Interface,
  ) {
    this.answers = lines[Symbol.asyncIterator]();
  }
  static async open(): Promise<Line> {
    const socket = connect(server.port, '127.0.0.1');
    sockets.push(socket);
    const line = new Line(socket, createInterface({ input: socket }));
    socket.write('VIXSIM/1\n');
    await line.ask('hello', { thumbprint: server.thumbprintSha1 });
    await line.ask('auth', { kind: 'password', ...ACCOUNT });
    return line;
  }
  async ask(op: string, more: Record<string, unknown> = {}): Promise<Answer> {
    this.socket.write(`${JSON.stringify({ op, ...more })}\n`);
    return JSON.parse((await this.answers.next()).value as string) as Answer;
  }
  connect(transportModes = 'nbdssl'): Promise<Answer> {
    return this.ask('connect', { vm: vm.moRef, snapshot: null, readOnly: true, transportModes });
  }
  open(more: Record<string, unknown> = {}): Promise<Answer> {
    return this.ask('open', { path: vm.disks[0]?.path, readOnly: true, ...more });
  }
}

/** A process that has been and is no more. */
async function deadProcessId(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '']);
  await new Promise((done) => child.once('exit', done));
  return child.pid as number;
}

const faultOf = (work: () => unknown) => {
  try {
    work();
    return 'done';
  } catch (error) {
    return (error as { faultType: string }).faultType;
  }
};

describe('PrepareForAccess', () => {
  it('disables what moves the VM until EndAccess, for each identity on its own', async () => {
    const line = await Line.open();
    const state = model.inventory.vm(vm.moRef);
    const isMovable = () => faultOf(() => requireEnabled(state, 'RelocateVM_Task'));
    for (const identity of ['first', 'second'])
      expect(await line.ask('prepareForAccess', { vm: vm.moRef, identity })).toEqual({ ok: true });
    expect(isMovable()).toBe('MethodDisabled');
    await line.ask('endAccess', { vm: vm.moRef, identity: 'first' });
    expect(isMovable()).toBe('MethodDisabled');
    expect(model.preparedForAccess()).toEqual([{ moRef: vm.moRef, identity: 'second' }]);
    await line.ask('endAccess', { vm: vm.moRef, identity: 'second' });
    expect(isMovable()).toBe('done');
    expect(await line.ask('prepareForAccess', { vm: vm.moRef, identity: 'x'.repeat(51) })).toMatchObject({ ok: false, vixError: 3 });
  });

  it('is undone by Cleanup where its process is no more', async () => {
    const line = await Line.open();
    await line.ask('prepareForAccess', { vm: vm.moRef, identity: 'alive', process: process.pid });
    await line.ask('prepareForAccess', { vm: vm.moRef, identity: 'dead', process: await deadProcessId() });
    expect(await line.ask('cleanup')).toEqual({ ok: true, cleaned: 1, remaining: 0 });
    expect(model.preparedForAccess()).toEqual([{ moRef: vm.moRef, identity: 'alive' }]);
  });
});

describe('a VM that moves', () => {
  it('has its disks on the other datastore under other names, with its snapshots', async () => {
    await model.guest.write(vm.moRef, 2000, 0, Buffer.from('kept'));
    await model.createSnapshot(vm.moRef, { name: 'before' });
    const target = model.datastores()[1];
    await relocateVm(model.inventory, model.inventory.vm(vm.moRef), { datastoreMoRef: target?.moRef });
    const moved = model.vm(vm.moRef);
    expect([moved?.datastoreName, moved?.disks[0]?.path, moved?.disks[0]?.datastoreMoRef]).toEqual([
      'ds-2',
      '[ds-2] web/web-000001.vmdk',
      target?.moRef,
    ]);
    await model.removeAllSnapshots(vm.moRef);
    expect((await model.guest.read(vm.moRef, 2000, 0, 4)).toString()).toBe('kept');
  });
});

describe('a host that enters maintenance mode', () => {
  it('ends its connections with 14014, the next one is served by another host, and by none with 14015', async () => {
    const [first, second] = model.inventory.state.hosts;
    const before = await Line.open();
    await before.connect();
    enterMaintenance(model.inventory, hostOf(model.inventory, first?.moRef as string));
    expect(await before.open()).toMatchObject({ ok: false, vixError: 14014 });
    const after = await Line.open();
    await after.connect();
    expect(await after.open()).toMatchObject({ ok: true });
    enterMaintenance(model.inventory, hostOf(model.inventory, second?.moRef as string));
    const last = await Line.open();
    await last.connect();
    expect(await last.open()).toMatchObject({ ok: false, vixError: 14015 });
    exitMaintenance(model.inventory, hostOf(model.inventory, first?.moRef as string));
    expect(await last.open()).toMatchObject({ ok: true });
  });

  it('loses the VMs that run to another one, and waits in vain for one that must not move', async () => {
    await model.powerOn(vm.moRef);
    const host = hostOf(model.inventory, model.vm(vm.moRef)?.hostMoRef as string);
    disableMethods(model.inventory, model.inventory.vm(vm.moRef), { sourceId: 'backup', methods: MOVING_METHODS });
    expect(faultOf(() => enterMaintenance(model.inventory, host))).toBe('Timedout');
    delete model.inventory.vm(vm.moRef).disabledMethods;
    enterMaintenance(model.inventory, host);
    expect(model.vm(vm.moRef)?.hostMoRef).not.toBe(host.moRef);
  });
});

describe('the network file copy', () => {
  it('has 48 MB of buffers on a host, and gives back what a closed disk or a lost connection held', async () => {
    const line = await Line.open();
    await line.connect();
    const buffers = { nfcBufferBytes: String(16 * MIB) };
    const handles: unknown[] = [];
    for (let disks = 0; disks < 3; disks += 1) handles.push((await line.open(buffers)).handle);
    expect(await line.open(buffers)).toMatchObject({ ok: false, vixError: 1 });
    await line.ask('close', { handle: handles[0] });
    expect(await line.open(buffers)).toMatchObject({ ok: true });
    const other = await Line.open();
    await other.connect();
    await line.ask('bye').catch(() => undefined);
    for (let looks = 0; looks < 200; looks += 1) if ((await other.open({ nfcBufferBytes: String(48 * MIB) })).ok) return;
    throw new Error('The memory of a connection that has ended is not free');
  });

  it('has 52 sessions through a vCenter', async () => {
    const line = await Line.open();
    await line.connect();
    for (let disks = 0; disks < 52; disks += 1) expect((await line.open({ nfcBufferBytes: '65536' })).ok).toBe(true);
    expect(await line.open({ nfcBufferBytes: '65536' })).toMatchObject({ ok: false, vixError: 1 });
  });

  it('serves a disk that was asked for by another transport, without a word', async () => {
    const line = await Line.open();
    await line.connect('san:hotadd:nbdssl');
    server.rules.set([{ door: 'vix', method: 'open', effect: 'transport', transport: 'hotadd', times: 1 }]);
    expect(await line.open()).toMatchObject({ ok: true, transport: 'hotadd' });
    expect(await line.open()).toMatchObject({ ok: true, transport: 'nbdssl' });
  });
});

describe('broken rules', () => {
  it('are kept as the library tells them, whoever it is', async () => {
    const line = await Line.open();
    await line.ask('violations', { process: 7, list: ['Close comes before Wait'] });
    expect(server.vddkViolations).toEqual(['process 7: Close comes before Wait']);
  });
});
