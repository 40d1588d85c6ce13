import type { CatalogService, ManifestVm } from '../../catalog/index.js';
import { type CloudSessions, matchNamedDisks } from '../../clouds/index.js';
import { inParallel } from '../../common/index.js';
import {
  filterValue,
  sameEntity,
  type VappCapture,
  type VcdClientApi,
  VcdError,
  type VcdReference,
  type VdcRecord,
  type VmCapture,
} from '../../vcd/index.js';
import type { VmConfiguration, VsphereClientApi } from '../../vsphere/index.js';
import { RestoreError } from '../errors.js';
import type { RestorePayload } from '../restore-request.js';
import { examineForTemplate } from './examine-catalog.js';
import { affinityMembers, hasStandaloneVm, instanceUuidHolders, namedDisksOfToday } from './examine-beside.js';
import { restoresStandalone } from './mode-rules.js';
import { namedUsers } from './rule-people.js';
import type { NicInUse, ReadPoint, Today, TodaysVm } from './today.js';

export interface ExamineParts {
  cloud: CloudSessions;
  vcd: VcdClientApi;
  catalog: Pick<CatalogService, 'vapp' | 'vappDetail' | 'formerVappHrefs'>;
}

/** VM names in one query, and vApps read because a VM of theirs has one: a plan stays small in a large cloud. */
const NAMES_PER_QUERY = 20;
const NAMESAKE_VAPPS = 8;
const PARALLEL_READS = 4;

/**
 * Reads today's cloud once, and only reads: VDC, the vApp that is there, users, names, addresses in use.
 *
 * @param vms of the restore point that are to be restored
 * @throws RestoreError VAPP_GONE, VDC_GONE, RESTORE_REQUEST_INVALID; VcdError; VsphereError
 */
export async function examine(
  payload: RestorePayload,
  point: ReadPoint,
  vms: readonly ManifestVm[],
  vappName: string,
  parts: ExamineParts,
  signal: AbortSignal,
): Promise<Today> {
  const { vcd } = parts;
  const known = await parts.catalog.vapp(payload.vappId ?? point.content.vapp.id);
  if (known === undefined && payload.vappId !== undefined) {
    throw new RestoreError('RESTORE_REQUEST_INVALID', `There is no vApp with id ${payload.vappId} in the catalog.`, {
      vappId: payload.vappId,
    });
  }
  const forTemplate = payload.mode === 'template' ? await examineForTemplate(payload, point.captured, vcd, signal) : undefined;
  const look = (href: string) => presentVapp(href, forTemplate !== undefined, vcd, signal);
  const present = (await look(known?.href ?? point.captured.href)) ?? (known && (await underFormerName(known.id, parts, look)));
  const target = needsVapp(payload.mode) ? present : undefined;
  if (needsVapp(payload.mode) && target === undefined) {
    throw new RestoreError(
      'VAPP_GONE',
      `vApp "${known?.name ?? point.content.vapp.name}" is not in the cloud any more; restore it with mode missing-vapp.`,
    );
  }
  const vdcs: VdcRecord[] = [];
  for await (const listed of vcd.vdcs(signal)) vdcs.push(listed);
  const vdcRecord = targetVdc({ ...payload, ...forTemplate?.where }, point.captured, target?.capture, vdcs);
  const vdc = await vcd.vdcResources(vdcRecord.href, signal);
  const server = (await vcd.vimServers(signal)).find((candidate) => sameEntity(candidate.href, vdc.vimServerHref));
  if (server === undefined)
    throw new RestoreError('VDC_GONE', `VDC "${vdc.name}" names no vCenter that VCD knows, so no VM can be built for it.`);
  const vcenter = await parts.cloud.vcenter(server.instanceUuid, signal);
  const { vmFolderMoRef, datastores } = await vcenter.placementOptions(vdc.resourcePoolMoRef, signal);
  const isTaken = () =>
    restoresStandalone(payload, point.captured)
      ? hasStandaloneVm(vdc.href, vappName, vcd, signal)
      : vcd.findVapp(vdc.href, vappName, signal).then((vapp) => vapp !== undefined);
  return {
    vdc,
    vdcs: vdcs.filter(({ organizationId }) => organizationId === vdcRecord.organizationId),
    vcenter,
    vimServerHref: vdc.vimServerHref,
    vmFolderMoRef,
    datastores,
    target,
    originalExists: present !== undefined && !forTemplate?.replaces(present.href),
    nameTaken: target === undefined && forTemplate === undefined && (await isTaken()),
    ...(forTemplate && { catalogs: forTemplate.catalogs }),
    vms: target === undefined ? new Map() : await matchVms(vms, target.capture, payload, point, vcenter, parts, signal),
    users: await findUsers(namedUsers(point.captured, payload.choices), vdc.organization, vcd, signal),
    nicsInUse: await namesakeNics(vms, target?.capture, point.captured, vcd, signal),
    namedDisks: await namedDisksOfToday(point.captured.namedDisks ?? [], vcd, signal),
    affinityMembers: await affinityMembers(point.captured, vdc.href, vcd, signal),
    instanceUuidHolders: await instanceUuidHolders(vms, vcenter, signal),
  };
}

/** Modes that work on a vApp that is there. */
function needsVapp(mode: RestorePayload['mode']): boolean {
  return mode === 'overwrite' || mode === 'recreate' || mode === 'vms' || mode === 'disk';
}

/** A restore that was undone after it had written down what its new vApp is: the old one stands, and an inventory finds it only later. */
async function underFormerName(
  vappId: string,
  { catalog }: ExamineParts,
  look: (href: string) => Promise<Today['target']>,
): Promise<Today['target']> {
  for (const href of await catalog.formerVappHrefs(vappId)) {
    const found = await look(href);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function presentVapp(href: string, isTemplate: boolean, vcd: VcdClientApi, signal: AbortSignal): Promise<Today['target']> {
  if (href === '') return undefined;
  try {
    const capture = await (isTemplate ? vcd.captureVappTemplate(href, signal) : vcd.captureVapp(href, signal));
    return { href: capture.href, name: capture.name, capture };
  } catch (error) {
    if (error instanceof VcdError && (error.code === 'VAPP_NOT_FOUND' || error.code === 'TEMPLATE_NOT_FOUND')) return undefined;
    throw error;
  }
}

function targetVdc(payload: RestorePayload, captured: VappCapture, target: VappCapture | undefined, vdcs: readonly VdcRecord[]): VdcRecord {
  if (target !== undefined) {
    const own = vdcs.find((vdc) => sameEntity(vdc.href, target.vdc.href));
    if (own !== undefined) return own;
    throw new RestoreError(
      'VDC_GONE',
      `VDC "${target.vdc.name}" of vApp "${target.name}" is not listed by VCD; refresh the cloud and try again.`,
    );
  }
  const { organizationId } = payload;
  const candidates = organizationId === undefined ? vdcs : vdcs.filter((vdc) => vdc.organizationId === organizationId);
  const names = candidates.map((vdc) => `"${vdc.name}" (${vdc.id})`).join(', ') || 'none';
  const wanted = payload.vdcId ?? captured.vdc.id;
  const found = candidates.find((vdc) => vdc.id === wanted);
  if (found !== undefined) return found;
  if (payload.vdcId !== undefined) {
    throw new RestoreError('VDC_GONE', `vdcId names VDC ${payload.vdcId}, which is not there; choose one of: ${names}.`, {
      vdcId: payload.vdcId,
    });
  }
  // Another organization with one VDC leaves nothing to choose.
  const [only, second] = candidates;
  if (organizationId !== undefined && only !== undefined && second === undefined) return only;
  const why =
    organizationId === undefined
      ? `VDC "${captured.vdc.name ?? wanted}" does not exist any more`
      : `organization ${organizationId} has not the captured VDC`;
  throw new RestoreError('VDC_GONE', `${why}; name another one with vdcId: ${names}.`, { vdcId: wanted });
}

/** Our id says most, because it outlives restores; then vSphere's and VCD's own; a name alone says that somebody took it. */
async function matchVms(
  vms: readonly ManifestVm[],
  target: VappCapture,
  payload: RestorePayload,
  point: ReadPoint,
  vcenter: VsphereClientApi,
  parts: ExamineParts,
  signal: AbortSignal,
): Promise<Map<string, TodaysVm>> {
  const known = (await parts.catalog.vappDetail(payload.vappId ?? point.content.vapp.id))?.vms ?? [];
  const matched = await inParallel([...vms], PARALLEL_READS, signal, async (vm): Promise<[string, TodaysVm] | undefined> => {
    const catalogued = known.find((row) => row.id === vm.vmId);
    const moRef = await vcenter.findVmByInstanceUuid(vm.instanceUuid, signal);
    const same =
      target.vms.find((candidate) => candidate.id === catalogued?.vcloudId) ??
      target.vms.find((candidate) => candidate.vim.vmMoRef === moRef) ??
      target.vms.find((candidate) => candidate.id === vm.vcloudId);
    const found = same ?? target.vms.find((candidate) => candidate.name.toLowerCase() === vm.name.toLowerCase());
    if (found === undefined) return undefined;
    const configuration = await vcenter.readVm(found.vim.vmMoRef, signal);
    const today = { href: found.href, moRef: found.vim.vmMoRef, name: found.name, sameVm: same !== undefined, capture: found };
    return [vm.vcloudId, { ...today, configuration, namedDisks: namedDisksOf(found, configuration) }];
  });
  return new Map(matched.flatMap((entry) => (entry === undefined ? [] : [entry])));
}

function namedDisksOf(vm: VmCapture, { disks, configXml }: VmConfiguration): TodaysVm['namedDisks'] {
  const named = vm.disks.flatMap(({ namedDisk }) => namedDisk ?? []);
  const idByKey = matchNamedDisks(vm.disks, disks, configXml);
  return new Map([...idByKey].map(([key, id]) => [key, { id, name: named.find((disk) => sameEntity(disk.href, id))?.name }]));
}

/** Those of the names that are users of the organization, by lower-case name. */
export async function findUsers(
  names: readonly string[],
  organization: VcdReference,
  vcd: Pick<VcdClientApi, 'findUser'>,
  signal: AbortSignal,
): Promise<Map<string, VcdReference>> {
  const users = new Map<string, VcdReference>();
  for (const name of names) {
    const user = await vcd.findUser(organization, name, signal);
    if (user !== undefined) users.set(name.toLowerCase(), user);
  }
  return users;
}

/**
 * NICs that may collide: those of VMs with a captured name in other vApps. A collision comes from a copy or an
 * original, and those keep their names; to read every VM of a large cloud for it would cost thousands of requests.
 */
async function namesakeNics(
  vms: readonly ManifestVm[],
  target: VappCapture | undefined,
  captured: VappCapture,
  vcd: VcdClientApi,
  signal: AbortSignal,
): Promise<NicInUse[]> {
  const vappIds = new Set<string>();
  for (let at = 0; at < vms.length && vappIds.size < NAMESAKE_VAPPS; at += NAMES_PER_QUERY) {
    const names = vms.slice(at, at + NAMES_PER_QUERY).map((vm) => `name==${filterValue(vm.name, vcd.apiVersion)}`);
    for await (const record of vcd.vms(names.length === 1 ? names[0] : `(${names.join(',')})`, signal)) {
      if (record.vappId !== target?.id && vappIds.size < NAMESAKE_VAPPS) vappIds.add(record.vappId);
    }
  }
  const nics: NicInUse[] = [];
  for (const id of vappIds) {
    const capture = await readNamesake(captured.href.replace(uuidIn(captured.id), uuidIn(id)), vcd, signal);
    if (capture !== undefined) nics.push(...nicsOf(capture));
  }
  return nics;
}

/** Somebody else's vApp that cannot be read, or went while we looked, takes no part in the plan. */
async function readNamesake(href: string, vcd: VcdClientApi, signal: AbortSignal): Promise<VappCapture | undefined> {
  try {
    return await vcd.captureVapp(href, signal);
  } catch (error) {
    if (error instanceof VcdError && !error.retryable) return undefined;
    throw error;
  }
}

function nicsOf(capture: VappCapture): NicInUse[] {
  return capture.vms.flatMap((vm) =>
    vm.nics.map((nic) => ({
      vappName: capture.name,
      vmName: vm.name,
      macAddress: nic.macAddress,
      ipAddress: nic.ipAddress,
      networkHref: capture.networks.find((network) => network.name === nic.network && network.fenceMode === 'bridged')?.parent?.href,
    })),
  );
}

function uuidIn(vcloudId: string): string {
  return vcloudId.slice(vcloudId.lastIndexOf(':') + 1);
}
