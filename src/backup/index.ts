/**
 * The way out: one vApp, standalone VM, vApp template or medium becomes one restore point.
 * Maintenance mode, capture, snapshots of all VMs, the copy of what is allocated and changed, the
 * manifest, and the way back out of maintenance mode (guide, chapter 8); of a medium, its bytes.
 *
 * It does not decide when (that is policy's) nor how bytes are stored (repository's), and it knows
 * nothing of restore.
 * It promises that a restore point appears whole or not at all, and that whatever it changed in the
 * cloud is owed before it is done.
 */
export { BackupModule } from './backup.module.js';
