import { readFileSync } from 'node:fs';
import type { Seed } from '../simulator/seeds/schema.js';

const MIB = 2 ** 20;

/** The demo's cloud with small disks: everything that makes a vApp difficult, in a second. */
export const smallSeed: Seed = shrink(JSON.parse(readFileSync(new URL('../simulator/seeds/demo.json', import.meta.url), 'utf8')) as Seed);

function shrink(seed: Seed): Seed {
  for (const vapp of seed.vapps) {
    for (const vm of vapp.vms) {
      for (const disk of vm.disks) {
        // What is odd about a size stays odd: the tail below one 64 KiB block.
        disk.capacityBytes = 48 * MIB + (disk.capacityBytes % 65536);
        disk.dataBytes = disk.dataBytes > 0 ? 6 * MIB : 0;
      }
    }
  }
  return seed;
}
