import { everythingSeed } from '../simulator/seeds/everything.js';
import type { Seed } from '../simulator/seeds/schema.js';

const DATA_BYTES = 4 * 2 ** 20;

/** The cloud that has one of everything, with little on its disks; without the tenant's snapshot, which would look like one of ours. */
export function leanEverything(): Seed {
  const seed = everythingSeed();
  const disks = [...seed.vapps.flatMap((vapp) => vapp.vms).flatMap((vm) => vm.disks), ...seed.disks];
  for (const disk of disks) disk.dataBytes = Math.min(disk.dataBytes, DATA_BYTES);
  return { ...seed, snapshots: [] };
}
