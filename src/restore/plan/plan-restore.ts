import type { ManifestVm } from '../../catalog/index.js';
import { matchNamedDisks } from '../../clouds/index.js';
import type { RepositoryApi } from '../../repository/index.js';
import type { VmCapture } from '../../vcd/index.js';
import { capturedDisks } from '../../vsphere/index.js';
import type { PlannedVm, RestorePlan } from '../plan-types.js';
import type { RestorePayload } from '../restore-request.js';
import { type ExamineParts, examine } from './examine.js';
import { examineMachines, type Machine, type MachineSupport, readMachines } from './examine-machines.js';
import { assertModeTakes, keepsIdentity, nameAtTheEnd, putsBackVapp, restoresStandalone } from './mode-rules.js';
import { readPoint } from './read-point.js';
import { rule } from './rule-restore.js';
import { selectVms } from './rule-vms.js';
import type { Today } from './today.js';

export type PlanParts = ExamineParts & { repository: RepositoryApi };

/**
 * A restore held against today's cloud (guide, chapter 8: "you can select new values for the non-conforming
 * attributes"). It only reads; the same request gives the same plan while the cloud stays as it is.
 *
 * @throws RestoreError what the request asks for is not there; RepositoryError, VcdError, VsphereError.
 */
export async function planRestore(payload: RestorePayload, parts: PlanParts, signal: AbortSignal): Promise<RestorePlan> {
  assertModeTakes(payload);
  const point = await readPoint(payload, parts.repository, signal);
  const { content, captured } = point;
  const selected = selectVms(content.vms, payload);
  const vappName = nameAtTheEnd(payload, captured);
  const today = await examine(payload, point, selected, vappName, parts, signal);
  const machines = await readMachines(selected, point.manifest, parts.repository, signal);
  const support = await supportFor(machines, selected, today, signal);
  const ruled = rule(payload, point, today, selected, vappName, { machines, support });
  const vms: PlannedVm[] = [];
  for (const vm of ruled.vms) {
    const configXml = machines.get(vm.manifest.vcloudId)?.configXml ?? '';
    const { nvramDocument } = vm.manifest;
    const nvram =
      nvramDocument === null || isUnreadable(vm.made, machines.get(vm.manifest.vcloudId)?.encryption !== undefined)
        ? undefined
        : await parts.repository.readDocument(point.manifest, nvramDocument, signal);
    const withoutDisks = vm.action === 'overwrite' ? [] : namedDiskKeys(vm.captured, configXml);
    vms.push({ ...vm, configXml, nvram, withoutDisks });
  }
  return {
    payload,
    manifest: point.manifest,
    content,
    captured,
    wanted: ruled.wanted,
    vappName: today.target?.name !== undefined && !putsBackVapp(payload.mode) ? today.target.name : vappName,
    target: today.target,
    keepIdentity: keepsIdentity(payload, today),
    keepMacAddresses: ruled.keepMacAddresses,
    vdc: today.vdc,
    vcenter: today.vcenter,
    vimServerHref: today.vimServerHref,
    vms,
    removals: ruled.removals,
    parents: ruled.parents,
    owner: ruled.owner,
    affinityRules: ruled.affinityRules,
    ...(ruled.place && { place: ruled.place }),
    standalone: restoresStandalone(payload, captured),
    putBackVapp: putsBackVapp(payload.mode),
    items: ruled.items,
  };
}

async function supportFor(
  machines: ReadonlyMap<string, Machine>,
  selected: readonly ManifestVm[],
  today: Today,
  signal: AbortSignal,
): Promise<MachineSupport> {
  const { vcenter, vdc, datastores } = today;
  const profileNames = vdc.storageProfiles.flatMap(({ name }) => name ?? []);
  const target = { vcenter, resourcePoolMoRef: vdc.resourcePoolMoRef, datastores, profileNames };
  return examineMachines(machines.values(), selected, target, signal);
}

/** The NVRAM of an encrypted VM is sealed with the captured keys (guide, "What If Something Fails"). */
function isUnreadable({ encryption }: PlannedVm['made'], wasEncrypted: boolean): boolean {
  return wasEncrypted && encryption !== undefined && encryption.keys !== 'captured';
}

/** Also of named disks that are not in the restore point: an empty disk of the VM's own is no stand-in for them. */
function namedDiskKeys(captured: VmCapture, configXml: string): number[] {
  return [...matchNamedDisks(captured.disks, capturedDisks(configXml), configXml).keys()];
}
