import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_SEED } from '../seeds/index.js';
import { smallSeed } from '../seeds/small-seed.js';
import { startTestCell, type TestCell } from '../vcd/testing.js';
import { Checkpoints } from './checkpoints.js';

describe('a checkpoint', () => {
  let test: TestCell;
  let directory: string;
  beforeAll(async () => {
    test = await startTestCell(smallSeed(JSON.parse(await readFile(DEFAULT_SEED, 'utf8'))));
    directory = await mkdtemp(join(tmpdir(), 'checkpoints-'));
  });
  afterAll(async () => {
    await test.close();
    await rm(directory, { recursive: true, force: true });
  });

  it('reports every byte of a VM that is missing as differing', async () => {
    const shop = test.cloud.state.vapps.find((vapp) => vapp.name === 'shop');
    if (!shop) throw new Error('no vApp shop');
    const checkpoints = new Checkpoints(test.cloud, directory);
    await checkpoints.make('before', shop);
    const same = await checkpoints.compare('before', shop, {});
    expect(same.disks.map((disk) => [disk.vm, disk.differingBytes])).toEqual([
      ['web-1', 0],
      ['db-1', 0],
      ['db-1', 0],
      ['app-1', 0],
      ['app-1', 0],
    ]);
    test.cloud.state.vms = test.cloud.state.vms.filter((vm) => vm.name !== 'db-1');
    const { disks } = await checkpoints.compare('before', shop, {});
    const missing = disks.filter((disk) => disk.vm === 'db-1');
    expect(missing.map((disk) => disk.label)).toEqual(['Hard disk 1', 'Hard disk 2']);
    for (const disk of missing) expect([disk.differingBytes, disk.firstDifferenceBytes]).toEqual([disk.capacityBytes, 0]);
    expect(missing.every((disk) => disk.capacityBytes > 0)).toBe(true);
  });
});
