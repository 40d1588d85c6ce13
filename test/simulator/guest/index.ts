/**
 * What happens inside the VMs: file systems made, blocks written, files deleted and their blocks
 * unmapped; and, for the tests, what a disk held at a moment, kept outside the datastore.
 *
 * It promises that a file system it wrote passes e2fsck, that every change is tracked where CBT is
 * on, and the same bytes for the same seed. Without e2fsprogs it writes a pattern and says so.
 */
export * from './simulated-guest.js';
