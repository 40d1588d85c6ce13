import type { ObligationKind } from './obligations.js';

/** What a person looks for where a debt cannot be paid. Nothing tells him to delete: what bears the object's name may be what is in use. */
const remedies: Readonly<Record<ObligationKind, string>> = {
  'vcd.maintenance': 'see in VCD why the vApp cannot leave maintenance mode, or end it there',
  'vsphere.snapshot': "see in vCenter why the VM's snapshot cannot be removed",
  'vsphere.disk-snapshot': "see in vCenter why the first class disk's snapshot cannot be removed",
  'vsphere.disk': 'see in vCenter why the unfinished first class disk cannot be deleted',
  'vsphere.tracking': "see in vCenter why the VM's change tracking cannot be turned on again",
  'vddk.access': 'see that a worker with VDDK reaches the vCenter: the VM cannot be moved by vMotion until then',
  'vcd.download': 'see in VCD why the download of the medium cannot be ended',
  'vsphere.vm': 'see in vCenter why the unfinished VM cannot be deleted',
  'vcd.vapp': 'see in VCD why the unfinished vApp of the restore cannot be deleted',
  'vcd.vm': 'see in VCD why the unfinished VM of the restore cannot be deleted',
  'vcd.standalone': 'see in VCD why the unfinished standalone VM of the restore cannot be deleted',
  'vcd.disk': 'see in VCD why the named disk of the restore cannot be detached or deleted',
  'vcd.replace': 'see in VCD why what was restored cannot take the place of what it replaces',
  'vcd.power-on': 'see in VCD why the restored vApp cannot be powered on, or power it on there',
  'vcd.template': 'see in VCD why the unfinished vApp template of the restore cannot be deleted',
  'vcd.media': 'see in VCD why the unfinished medium of the restore cannot be deleted',
  'vcd.replace-item': 'see in VCD why what was restored to the catalog cannot take the place of what it replaces',
};

/** @param kind may be one of a later release. */
export function remedyOf(kind: string): string {
  return Object.hasOwn(remedies, kind) ? remedies[kind as ObligationKind] : `look at the log of the workers for "${kind}"`;
}
