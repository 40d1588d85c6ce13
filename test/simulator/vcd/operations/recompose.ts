import { randomUUID } from 'node:crypto';
import type { XmlElement } from '../../../../src/common/index.js';
import type { VcdCloud } from '../cloud.js';
import { type Answer, type Exchange, readBody } from '../exchange.js';
import { badRequest, duplicateName } from '../faults.js';
import { idFromHref } from '../hrefs.js';
import { NETWORK_NONE, type StorageProfile, type Vapp, type Vm } from '../state.js';
import { MEDIA } from '../xml-names.js';
import { requireTemplateVm } from './entities.js';
import { accepted, writableVapp, writableVm } from './guard.js';
import { startsWithOthers } from './import.js';
import { deleteVm, powerOnVms } from './life.js';
import { readProfile } from './media.js';
import { applyNics, isTrue, readNetworkConnections, type WantedNics } from './nics.js';
import { copyVm } from './templates.js';

/** What this cell does of a recomposition; VMs made from nothing (CreateItem) and changes on the way are not among it. */
const KNOWN = ['VCloudExtension', 'Description', 'SourcedItem', 'AllEULAsAccepted', 'DeleteItem'];

/** A VM that is copied, or moved, into the vApp. */
interface WantedVm {
  source: Vm;
  /** The source goes when the copy stands. */
  move: boolean;
  name: string;
  description: string;
  localId: string;
  profile: StorageProfile | undefined;
  /** Network names of the source -> of this vApp. */
  networks: ReadonlyMap<string, string>;
  nics: WantedNics | undefined;
}

/** POST action/recomposeVApp: 202; VMs are copied or moved in, and deleted. */
export function recompose(exchange: Exchange): Answer {
  const { cloud } = exchange;
  const vapp = writableVapp(exchange, exchange.parameters.id ?? '');
  const body = readBody(exchange, { element: 'RecomposeVAppParams', media: MEDIA.recompose });
  const more = body.elements().find((child) => !KNOWN.includes(child.local));
  if (more) throw badRequest(`This cell recomposes no ${more.local} of vApp "${vapp.name}".`);
  const { name, description } = newNames(exchange, vapp, body);
  const doomed = body.childrenNamed('DeleteItem').map((item) => requireDeletable(exchange, vapp, item));
  const wanted = body.childrenNamed('SourcedItem').map((item) => readSourcedItem(exchange, vapp, item));
  requireNewNames(cloud, vapp, wanted, doomed);
  const powerOn = wanted.length > 0 && isTrue(body.attribute('powerOn', ''));
  return accepted(exchange, {
    operationName: 'vdcRecomposeVapp',
    operation: 'Updating Virtual Application',
    entity: vapp,
    alsoBlocks: wanted.map(({ source }) => source.id),
    work: async () => {
      for (const vm of doomed) await deleteVm(cloud, vm);
      const added: Vm[] = [];
      for (const item of wanted) added.push(await addVm(cloud, vapp, item));
      vapp.name = name;
      vapp.description = description;
      if (powerOn) await powerOnVms(cloud, vapp, added);
      cloud.changed();
    },
  });
}

/** A body without a name keeps the one there is, as only a recomposition may; an absent Description empties it. */
export function newNames(exchange: Exchange, vapp: Vapp, body: XmlElement): { name: string; description: string } {
  const name = body.attribute('name', '') ?? (body.local === 'RecomposeVAppParams' ? vapp.name : '');
  if (name === '' || name.length > 128) throw badRequest('The vApp name must have 1 to 128 characters.');
  if (exchange.cloud.state.vapps.some((other) => other.vdcId === vapp.vdcId && other.id !== vapp.id && other.name === name))
    throw duplicateName(name);
  return { name, description: body.textAt('Description') ?? '' };
}

function requireDeletable(exchange: Exchange, vapp: Vapp, item: XmlElement): Vm {
  const vm = exchange.cloud.requireVm(exchange.session, idFromHref(item.attribute('href', '') ?? '', 'vApp/vm-'));
  if (vm.vappId !== vapp.id) throw badRequest(`The VM "${vm.name}" is not in vApp "${vapp.name}".`);
  requireOff(exchange.cloud, vm);
  return vm;
}

function requireOff(cloud: VcdCloud, vm: Vm): void {
  if (vm.deployed || cloud.hardware(vm)?.powerState === 'poweredOn')
    throw badRequest(`The requested operation could not be executed on VM "${vm.name}". Stop the VM and try again.`);
}

function readSourcedItem(exchange: Exchange, vapp: Vapp, item: XmlElement): WantedVm {
  const href = item.child('Source')?.attribute('href', '') ?? '';
  const move = isTrue(item.attribute('sourceDelete', ''));
  const source = requireSource(exchange, href, move);
  requireOff(exchange.cloud, source);
  const general = item.child('VmGeneralParams');
  const name = general?.textAt('Name') ?? source.name;
  if (name === '' || name.length > 128) throw badRequest('The VM name must have 1 to 128 characters.');
  const networks = item.childrenNamed('NetworkAssignment').map((assignment): [string, string] => {
    const container = assignment.attribute('containerNetwork', '') ?? '';
    if (container !== NETWORK_NONE && !vapp.networks.some((network) => network.name === container))
      throw badRequest(`The network "${container}" of VM "${name}" does not exist in vApp "${vapp.name}".`);
    return [assignment.attribute('innerNetwork', '') ?? '', container];
  });
  const section = item.child('InstantiationParams')?.child('NetworkConnectionSection');
  return {
    source,
    move,
    name,
    description: general?.textAt('Description') ?? source.description,
    localId: item.textAt('VAppScopedLocalId') ?? randomUUID(),
    profile: readProfile(exchange, vapp.organizationId, item.child('StorageProfile')),
    networks: new Map(networks),
    nics: section && readNetworkConnections(section),
  };
}

/** A VM of a vApp, or of a template, which is only ever copied. */
function requireSource(exchange: Exchange, href: string, move: boolean): Vm {
  if (href.includes('/vAppTemplate/vm-')) {
    if (move) throw badRequest('A VM of a vApp template cannot be moved into a vApp.');
    return requireTemplateVm(exchange, idFromHref(href, 'vAppTemplate/vm-'));
  }
  const id = idFromHref(href, 'vApp/vm-');
  if (!move) return exchange.cloud.requireVm(exchange.session, id);
  const vm = writableVm(exchange, id);
  const named = exchange.cloud.state.disks.find((disk) => disk.attachedVmId === vm.id);
  if (named) throw badRequest(`The VM "${vm.name}" cannot be moved while disk "${named.name}" is attached to it.`);
  return vm;
}

/** @throws VcdFault 400 DUPLICATE_NAME, and 400 for a local id twice: both are unique in a vApp. */
function requireNewNames(cloud: VcdCloud, vapp: Vapp, wanted: readonly WantedVm[], doomed: readonly Vm[]): void {
  const there = cloud.vmsOf(vapp).filter((vm) => !doomed.includes(vm));
  for (const [index, item] of wanted.entries()) {
    const others = [...there, ...wanted.slice(0, index)];
    if (others.some((other) => other.name === item.name)) throw duplicateName(item.name);
    if (others.some((other) => other.localId === item.localId))
      throw badRequest(`The vApp has a VM with the local id "${item.localId}" already.`);
  }
}

async function addVm(cloud: VcdCloud, vapp: Vapp, item: WantedVm): Promise<Vm> {
  const copy = await copyVm(cloud, item.source, vapp);
  const { name, description, localId } = item;
  const vm: Vm = Object.assign(copy, { name, description, localId });
  const isHome = cloud.storageProfile(vm.storageProfileId)?.vdcId === vapp.vdcId;
  vm.storageProfileId = item.profile?.id ?? (isHome ? vm.storageProfileId : cloud.defaultStorageProfile(vapp.vdcId).id);
  if (!isHome) vm.disks = [];
  cloud.state.vms.push(vm);
  startsWithOthers(vapp, vm);
  const hardware = cloud.hardware(vm);
  if (hardware) await applyNics(cloud, vapp, vm, hardware, item.nics ?? sameNics(vapp, vm, item));
  if (item.move) await deleteVm(cloud, item.source);
  cloud.changed();
  return vm;
}

/** The source's NICs, each on the network it is assigned to; on none where this vApp has no network of that name. */
function sameNics(vapp: Vapp, vm: Vm, item: WantedVm): WantedNics {
  return {
    primaryIndex: vm.primaryNicIndex,
    nics: vm.nics.map((nic) => {
      const wanted = item.networks.get(nic.network) ?? nic.network;
      const network = vapp.networks.some((candidate) => candidate.name === wanted) ? wanted : NETWORK_NONE;
      // An address of the source's is the source's.
      const allocationMode = nic.allocationMode === 'MANUAL' ? 'DHCP' : nic.allocationMode;
      const { index, connected } = nic;
      return { index, network, connected, allocationMode, macAddress: undefined, ipAddress: undefined, adapterType: undefined };
    }),
  };
}
