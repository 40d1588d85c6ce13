import type { ManifestContent, ManifestVm } from '../catalog/index.js';
import type { CloudSessions } from '../clouds/index.js';
import type { Manifest, RepositoryApi } from '../repository/index.js';
import type { VappCapture, VcdClientApi, VcdReference, VdcResources, VmCapture } from '../vcd/index.js';
import type { VmPlacement, VsphereClientApi } from '../vsphere/index.js';
import { RestoreError } from './errors.js';
import type { RestorePayload } from './restore-request.js';

/** One VM to rebuild: what it was, and where it goes today. */
export interface PlannedVm {
  manifest: ManifestVm;
  captured: VmCapture;
  configXml: string;
  nvram: Buffer | undefined;
  placement: VmPlacement;
  storageProfileHref: string | undefined;
}

/** A restore held against today's cloud, before anything is changed. */
export interface RestorePlan {
  manifest: Manifest;
  content: ManifestContent;
  captured: VappCapture;
  vappName: string;
  keepIdentity: boolean;
  keepMacAddresses: boolean;
  vdc: VdcResources;
  vcenter: VsphereClientApi;
  vimServerHref: string;
  vms: PlannedVm[];
  /** Captured parent network -> today's, by href. */
  parents: Map<string, string>;
  owner: VcdReference | undefined;
  /** What cannot be put back as it was, one sentence each. */
  deviations: string[];
}

interface PlanParts {
  cloud: CloudSessions;
  vcd: VcdClientApi;
  repository: RepositoryApi;
}

export async function planRestore(payload: RestorePayload, parts: PlanParts, signal: AbortSignal): Promise<RestorePlan> {
  const { cloud, vcd, repository } = parts;
  const ref = { organizationId: payload.organizationId, restorePointId: payload.restorePointId };
  const manifest = await repository.readManifest(ref, signal);
  const content = manifest.content as ManifestContent;
  if (content.contentVersion !== 1) {
    throw new RestoreError(
      'RESTORE_POINT_UNREADABLE',
      `Restore point ${ref.restorePointId} was written by a newer vApp Vault (content version ${content.contentVersion}).`,
    );
  }
  const document = await repository.readDocument(ref, content.vappCaptureDocument, signal);
  const captured = JSON.parse(document.toString('utf8')) as VappCapture;
  const deviations: string[] = [];

  const vdc = await targetVdc(payload, captured, vcd, signal);
  const vappName = payload.mode === 'copy' ? (payload.name as string) : captured.name;
  await assertNameFree(vcd, vdc, vappName, payload.mode, signal);

  const server = (await vcd.vimServers(signal)).find((candidate) => candidate.href === vdc.vimServerHref);
  if (server === undefined)
    throw new RestoreError('VDC_GONE', `VDC "${vdc.name}" names no vCenter that VCD knows, so no VM can be built for it.`);
  const vcenter = await cloud.vcenter(server.instanceUuid);
  const options = await vcenter.placementOptions(vdc.resourcePoolMoRef, signal);

  const vms = await Promise.all(
    content.vms.map(async (vm): Promise<PlannedVm> => {
      const found = captured.vms.find((candidate) => candidate.id === vm.vcloudId);
      if (found === undefined)
        throw new RestoreError(
          'RESTORE_POINT_UNREADABLE',
          `Restore point ${ref.restorePointId} holds VM "${vm.name}" without its description.`,
        );
      const configXml = (await repository.readDocument(ref, vm.configurationDocument, signal)).toString('utf8');
      const nvram = vm.nvramDocument === null ? undefined : await repository.readDocument(ref, vm.nvramDocument, signal);
      const profile = matchStorageProfile(found, vdc, deviations);
      const datastoreName = chooseDatastore(vm, options.datastores, deviations);
      return {
        manifest: vm,
        captured: found,
        configXml,
        nvram,
        placement: { folderMoRef: options.vmFolderMoRef, resourcePoolMoRef: vdc.resourcePoolMoRef, datastoreName },
        storageProfileHref: profile?.href,
      };
    }),
  );

  return {
    manifest,
    content,
    captured,
    vappName,
    keepIdentity: payload.mode === 'missing-vapp',
    keepMacAddresses: (payload.macAddresses ?? (payload.mode === 'copy' ? 'new' : 'keep')) === 'keep',
    vdc,
    vcenter,
    vimServerHref: vdc.vimServerHref,
    vms,
    parents: matchParents(captured, vdc, deviations),
    owner: await matchOwner(captured, vdc, vcd, deviations, signal),
    deviations,
  };
}

async function targetVdc(payload: RestorePayload, captured: VappCapture, vcd: VcdClientApi, signal: AbortSignal): Promise<VdcResources> {
  const wanted = payload.vdcId ?? captured.vdc.id;
  for await (const vdc of vcd.vdcs(signal)) {
    if (vdc.id === wanted) return vcd.vdcResources(vdc.href, signal);
  }
  throw new RestoreError('VDC_GONE', `VDC "${captured.vdc.name ?? wanted}" does not exist any more; name another one with vdcId.`, {
    vdcId: wanted,
  });
}

async function assertNameFree(
  vcd: VcdClientApi,
  vdc: VdcResources,
  name: string,
  mode: RestorePayload['mode'],
  signal: AbortSignal,
): Promise<void> {
  if ((await vcd.findVapp(vdc.href, name, signal)) === undefined) return;
  const advice = mode === 'missing-vapp' ? 'restore it as a copy under another name, or delete it first' : 'choose another name';
  throw new RestoreError('NAME_TAKEN', `VDC "${vdc.name}" already has a vApp "${name}"; ${advice}.`, { name });
}

function matchStorageProfile(vm: VmCapture, vdc: VdcResources, deviations: string[]): VcdReference | undefined {
  const name = vm.storageProfile?.name;
  const same = vdc.storageProfiles.find((profile) => profile.href === vm.storageProfile?.href || profile.name === name);
  if (same?.enabled) return same;
  const fallback = vdc.storageProfiles.find((profile) => profile.isDefault);
  if (name !== undefined) {
    deviations.push(
      `Storage profile "${name}" of VM "${vm.name}" is not available in VDC "${vdc.name}"; "${fallback?.name ?? 'the default'}" is used.`,
    );
  }
  return fallback;
}

type Datastore = Awaited<ReturnType<VsphereClientApi['placementOptions']>>['datastores'][number];

/** The captured datastore where it still stands and has room, else the one with the most room. */
function chooseDatastore(vm: ManifestVm, datastores: readonly Datastore[], deviations: string[]): string {
  const neededBytes = vm.disks.reduce((sum, disk) => sum + (disk.thin ? disk.allocatedBytes : disk.capacityBytes), 0);
  const before = /^\[([^\]]+)\]/.exec(vm.disks[0]?.path ?? '')?.[1];
  const usable = datastores.filter((datastore) => datastore.accessible && datastore.freeBytes > neededBytes);
  const same = usable.find((datastore) => datastore.name === before);
  if (same) return same.name;
  const roomiest = usable.sort((a, b) => b.freeBytes - a.freeBytes)[0];
  if (roomiest === undefined) {
    throw new RestoreError('NO_DATASTORE', `No datastore of the target has the ${neededBytes} bytes that VM "${vm.name}" needs.`, {
      neededBytes,
    });
  }
  if (before !== undefined) deviations.push(`Datastore "${before}" of VM "${vm.name}" is not usable; "${roomiest.name}" is used.`);
  return roomiest.name;
}

function matchParents(captured: VappCapture, vdc: VdcResources, deviations: string[]): Map<string, string> {
  const parents = new Map<string, string>();
  for (const network of captured.networks) {
    if (network.parent === undefined) continue;
    const { href, name } = network.parent;
    const today = vdc.networks.find((candidate) => candidate.href === href) ?? vdc.networks.find((candidate) => candidate.name === name);
    if (today) parents.set(href, today.href);
    else
      deviations.push(
        `Parent network "${name}" of vApp network "${network.name}" is not in VDC "${vdc.name}"; the network is restored without it.`,
      );
  }
  return parents;
}

async function matchOwner(
  captured: VappCapture,
  vdc: VdcResources,
  vcd: VcdClientApi,
  deviations: string[],
  signal: AbortSignal,
): Promise<VcdReference | undefined> {
  const name = captured.owner.name;
  if (name === undefined) return undefined;
  const owner = await vcd.findUser(vdc.organization, name, signal);
  if (owner === undefined) deviations.push(`Owner "${name}" is not a user of the organization any more; the vApp stays with the system.`);
  return owner;
}
