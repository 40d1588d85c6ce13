import type { VmCapture } from '../../vcd/index.js';
import type { PlanItem } from '../plan-types.js';
import { planItem } from './choose.js';
import type { TodaysVm } from './today.js';

/** What writing over a VM does not bring back: the machine it is today stays, whatever is written to its disks. */
export function ruleInPlace(vm: VmCapture, present: TodaysVm): PlanItem[] {
  return [...ruleHardwareVersion(vm, present), ...ruleAddedDisks(vm, present)];
}

/** vSphere upgrades virtual hardware and never takes an upgrade back. */
function ruleHardwareVersion(vm: VmCapture, { capture }: TodaysVm): PlanItem[] {
  const captured = vm.hardware?.hardwareVersion;
  const planned = capture.hardware?.hardwareVersion;
  if (captured === undefined || planned === undefined || captured === planned) return [];
  const sentence = `VM "${vm.name}" has virtual hardware ${planned} today, and vSphere takes no upgrade from ${captured} back; choices.existingVms "replace" builds it as it was.`;
  return [planItem(`vms.${vm.name}.hardware.hardwareVersion`, 'not-permitted', { captured, planned }, sentence)];
}

function ruleAddedDisks(vm: VmCapture, { capture }: TodaysVm): PlanItem[] {
  const placeOf = ({ busNumber, unitNumber }: VmCapture['disks'][number]) => `${busNumber ?? 0}:${unitNumber ?? 0}`;
  const known = new Set(vm.disks.map(placeOf));
  return capture.disks
    .filter((disk) => !known.has(placeOf(disk)))
    .map((disk) => {
      const place = placeOf(disk);
      const sentence = `VM "${vm.name}" has gained a disk of ${disk.sizeMib} MiB at ${place} since the restore point; it is left as it is.`;
      return planItem(`vms.${vm.name}.disks.${place}`, 'changed', { captured: undefined, planned: disk.sizeMib }, sentence);
    });
}
