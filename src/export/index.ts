/**
 * Restore points out of the repository as files: a disk as raw, VMDK or qcow2, a vApp, VM or template as OVA, a medium as it
 * was, over HTTP. It talks to no cloud, and writes nothing but who took what.
 *
 * It promises: never a wrong byte and never an end that looks like one - what is damaged cuts the connection; memory is
 * bounded, and what nobody takes is not read; a restore point is not deleted from under an export; the same restore
 * point makes the same file, so that a download can be carried on.
 */
export { ExportModule } from './export.module.js';
