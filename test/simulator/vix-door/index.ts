/**
 * The door through which the stand-in libvixDiskLib finds its disks: newline-delimited JSON after
 * the line "VIXSIM/1". It gives out the files of a disk's chain and which faults to act out; the
 * library reads and writes them itself, and tells what it wrote.
 *
 * It promises to refuse what VDDK refuses: a wrong password, an ended session, a wrong thumbprint
 * (at Open, as VIX_E_FAIL), the disk of a running VM without a snapshot, writing to a running VM.
 */
export * from './vix-door.js';
