import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseCloudSize } from './seeds/large-cloud.js';
import { type Simulator, startSimulator } from './server.js';
import { StateFile } from './state-file.js';

const PORTS = { listen: '127.0.0.1', vcdPort: 0, vcenterPort: 0, controlPort: 0 };

describe('a generated cloud', () => {
  let folder: string;
  let simulator: Simulator;
  const size = parseCloudSize('organizations=3,vdcs=5,vapps=40,vms=90');
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'large-cloud-'));
    simulator = await startSimulator({ ...PORTS, dataDir: join(folder, 'one'), generate: size });
  });
  afterAll(async () => {
    await simulator.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('has so many of each, evenly dealt, and every VM stands in vCenter too', () => {
    const { state } = simulator.cloud;
    expect([state.vdcs.length, state.vapps.length, state.vms.length]).toEqual([5, 40, 90]);
    const perVapp = state.vapps.map((vapp) => simulator.cloud.vmsOf(vapp).length);
    expect([Math.min(...perVapp), Math.max(...perVapp)]).toEqual([2, 3]);
    for (const vm of state.vms) expect(simulator.cloud.hardware(vm)?.name).toBe(vm.name);
  });

  it('is the same cloud each time', async () => {
    const again = await startSimulator({ ...PORTS, dataDir: join(folder, 'two'), generate: size });
    const ids = ({ cloud }: Simulator) => cloud.state.vms.map((vm) => [vm.id, vm.name, vm.moRef]);
    try {
      expect(ids(again)).toEqual(ids(simulator));
    } finally {
      await again.close();
    }
  });

  it('lets a generated VM be changed, though it had no files', async () => {
    const vm = simulator.cloud.state.vms[0];
    await simulator.vsphere.setHardware(vm?.moRef ?? '', { memoryMib: 2048 });
    expect(vm && simulator.cloud.hardware(vm)?.memoryMib).toBe(2048);
  });

  it('refuses sizes that cannot be', () => {
    expect(() => parseCloudSize('vms=5')).toThrow('vms=5 needs vapps=1 or more.');
    expect(() => parseCloudSize('moons=5')).toThrow('"moons=5" is no size');
    expect(() => parseCloudSize('organizations=999999')).toThrow('more than');
  });
});

describe('StateFile', () => {
  it('writes a large state in pieces as the same JSON, with the last change in it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'state-file-'));
    try {
      const state = {
        version: 1,
        empty: [] as number[],
        nothing: undefined,
        vms: Array.from({ length: 5000 }, (_, id) => ({ id, name: `"${id}` })),
      };
      const file = new StateFile(
        join(folder, 'deep', 'state.json'),
        () => state,
        10_000,
        () => undefined,
      );
      const saved = file.save();
      setImmediate(() => {
        state.vms[0] = { id: 0, name: 'changed meanwhile' };
        file.changed();
      });
      await saved;
      await file.save();
      expect(JSON.parse(await readFile(join(folder, 'deep', 'state.json'), 'utf8'))).toEqual(JSON.parse(JSON.stringify(state)));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
