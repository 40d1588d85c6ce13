import { MIB } from '../../../src/common/index.js';

interface LooseSeed {
  vapps: { vms: { disks: { capacityBytes: number; dataBytes?: number }[] }[] }[];
}

/** The same cloud with small, empty disks, for specs that ask for no guest content. */
export function smallSeed(seed: LooseSeed): LooseSeed {
  for (const disk of seed.vapps.flatMap((vapp) => vapp.vms).flatMap((vm) => vm.disks)) {
    disk.capacityBytes = MIB + (disk.capacityBytes % MIB);
    disk.dataBytes = 0;
  }
  return seed;
}
