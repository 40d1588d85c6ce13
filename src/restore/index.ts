/**
 * The way back: a restore point becomes a vApp again, a standalone VM, a vApp template or a medium. Plan against today's
 * cloud, VMs in vSphere, import into VCD, everything import does not carry, and a comparison with what was captured
 * (guide, chapter 8, "Restoring vApps").
 *
 * It knows nothing of backup. It restores into what is there too: VMs and disks of a vApp, named disks with their VMs.
 * It promises that nothing unverified is written to a disk, that nothing half-made is left behind (a VM that was
 * being written over is named, stays off, and is told of by its backups until it is restored), that an old object goes only when the new one stands, and that what
 * could not be put back is said.
 */
export { RestoreModule } from './restore.module.js';
