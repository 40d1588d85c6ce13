/**
 * The way back: a restore point becomes a vApp again. Plan against today's cloud, VMs in vSphere,
 * import into VCD, everything import does not carry, and a comparison with what was captured
 * (guide, chapter 8, "Restoring vApps").
 *
 * It does not overwrite an existing vApp, and it knows nothing of backup.
 * It promises that nothing unverified is written to a disk, that a restore that fails or dies leaves
 * nothing half-made, and that what could not be put back is said.
 */
export { RestoreModule } from './restore.module.js';
