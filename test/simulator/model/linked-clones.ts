import { rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createDeltaAt, parseDatastorePath, readDescriptor } from '../datastore/index.js';
import { disksOf, type Inventory } from './inventory.js';
import type { VmState } from './state.js';
import { objectAt, stringAt, vim, type VimObject } from './vim.js';
import { SimFault } from './vsphere-types.js';

/**
 * Makes a VM what VCD's fast provisioning makes: its disks become deltas over bases that lie in the folder of a
 * shadow VM. What the guest sees stays.
 * @throws SimFault InvalidState for a VM that runs or has snapshots.
 */
export async function makeLinkedClone(inventory: Inventory, vm: VmState): Promise<void> {
  if (vm.powerState !== 'poweredOff' || vm.snapshots.length > 0)
    throw new SimFault('InvalidState', 'Only a VM that is off and has no snapshots can become a linked clone here.', {});
  for (const disk of disksOf(vm.config)) {
    const backing = objectAt(disk, 'backing') as VimObject;
    const path = stringAt(backing, 'fileName') as string;
    const datastore = inventory.datastore(parseDatastorePath(path)?.datastore ?? '');
    const top = inventory.absolutePath(path);
    const shadow = datastore.absolute(await datastore.makeFolderFor(`shadow-${String(vm.config.name)}`));
    const { extent } = await readDescriptor(top);
    await rename(join(dirname(top), extent.fileName), join(shadow, extent.fileName));
    const base = join(shadow, basename(top));
    await rename(top, base);
    await createDeltaAt(top, base);
    backing.parent = vim('VirtualDiskFlatVer2BackingInfo', { ...backing, fileName: datastore.pathOf(base), changeId: undefined });
    backing.deltaDiskFormat = 'seSparseFormat';
    delete backing.changeId;
  }
  inventory.changed(vm.moRef);
}
