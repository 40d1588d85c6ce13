import { writeXml, type XmlElement } from '../../../../src/common/index.js';
import { badRequest, noAccess, VcdFault } from '../faults.js';
import { type Answer, type Exchange, noContent, ok, readBody, requireProvider } from '../exchange.js';
import { idFromHref } from '../hrefs.js';
import { readAccess } from '../operations/access.js';
import { accepted, type TaskPlan, writableVapp } from '../operations/guard.js';
import { deleteVapp, powerOffVms, powerOnVms, requireStopped } from '../operations/life.js';
import { applyNetworks, readNetworks, requireUnused } from '../operations/networks.js';
import { newNames, recompose } from '../operations/recompose.js';
import { type Route, route } from '../router.js';
import type { StartupItem, Vapp } from '../state.js';
import {
  controlAccessView,
  leaseSettingsSection,
  networkConfigSection,
  networkSection,
  ownerView,
  productSectionsView,
  startupSection,
  vappView,
} from '../views/vapp-view.js';
import { MEDIA, NAMESPACES, WRITE_PREFIXES } from '../xml-names.js';

const VAPP = 'vApp/vapp-:id';

const seen = (exchange: Exchange): Vapp => exchange.cloud.requireVapp(exchange.session, exchange.parameters.id ?? '');
const writable = (exchange: Exchange, level?: 'FullControl'): Vapp => writableVapp(exchange, exchange.parameters.id ?? '', level);

export const vappRoutes: readonly Route[] = [
  route('GET', VAPP, (exchange) => ok(vappView(exchange, seen(exchange)), MEDIA.vapp)),
  route('PUT', VAPP, updateVapp),
  route('DELETE', VAPP, removeVapp),
  route('GET', `${VAPP}/leaseSettingsSection`, (exchange) => ok(leaseSettingsSection(exchange, seen(exchange)), MEDIA.leaseSettings)),
  route('PUT', `${VAPP}/leaseSettingsSection`, updateLease),
  route('GET', `${VAPP}/startupSection`, (exchange) => ok(startupSection(exchange, seen(exchange)), MEDIA.startup)),
  route('PUT', `${VAPP}/startupSection`, updateStartup),
  route('GET', `${VAPP}/networkSection`, (exchange) => ok(networkSection(exchange, seen(exchange)), MEDIA.networkSection)),
  route('GET', `${VAPP}/networkConfigSection`, (exchange) => ok(networkConfigSection(exchange, seen(exchange)), MEDIA.networkConfig)),
  route('PUT', `${VAPP}/networkConfigSection`, updateNetworks),
  route('DELETE', 'network/:id', removeNetwork),
  route('DELETE', 'admin/network/:id', removeNetwork),
  route('GET', `${VAPP}/snapshotSection`, (exchange) => {
    const section = vappView(exchange, seen(exchange)).child('SnapshotSection') as XmlElement;
    return ok(section, MEDIA.snapshotSection);
  }),
  route('GET', `${VAPP}/productSections`, (exchange) =>
    ok(
      productSectionsView(`${exchange.hrefs.vapp(seen(exchange).id)}/productSections/`, seen(exchange).productSections),
      MEDIA.productSections,
    ),
  ),
  route('PUT', `${VAPP}/productSections`, (exchange) => {
    const vapp = writable(exchange);
    const sections = readProductSections(exchange);
    return change(exchange, vapp, 'vappUpdateProductSections', () => {
      vapp.productSections = sections;
    });
  }),
  route('GET', `${VAPP}/owner`, (exchange) => {
    const owner = ownerView(exchange, seen(exchange));
    if (!owner) throw new VcdFault(500, 'INTERNAL_SERVER_ERROR', `The vApp "${seen(exchange).name}" has no owner.`);
    return ok(owner, MEDIA.owner);
  }),
  route('PUT', `${VAPP}/owner`, updateOwner),
  route('GET', `${VAPP}/controlAccess`, (exchange) => ok(controlAccessView(exchange, seen(exchange)), MEDIA.controlAccess)),
  route('POST', `${VAPP}/action/controlAccess`, updateAccess),
  route('POST', `${VAPP}/action/enterMaintenanceMode`, (exchange) => setMaintenance(exchange, true)),
  route('POST', `${VAPP}/action/exitMaintenanceMode`, (exchange) => setMaintenance(exchange, false)),
  route('POST', `${VAPP}/action/recomposeVApp`, recompose),
  route('POST', `${VAPP}/action/deploy`, deploy),
  route('POST', `${VAPP}/action/undeploy`, undeploy),
  route('POST', `${VAPP}/power/action/powerOn`, (exchange) => power(exchange, true)),
  route('POST', `${VAPP}/power/action/powerOff`, (exchange) => power(exchange, false)),
];

function change(exchange: Exchange, vapp: Vapp, operationName: string, work: TaskPlan['work']): Answer {
  return accepted(exchange, {
    operationName,
    operation: 'Updating Virtual Application',
    entity: vapp,
    work: async () => {
      await work();
      exchange.cloud.changed();
    },
  });
}

/** Name and Description; the rest of the body is read-only here, as in VCD. */
function updateVapp(exchange: Exchange): Answer {
  const vapp = writable(exchange);
  return rename(exchange, vapp, readBody(exchange, { element: 'VApp', media: MEDIA.vapp }), 'vdcUpdateVapp');
}

function rename(exchange: Exchange, vapp: Vapp, body: XmlElement, operationName: string): Answer {
  const { name, description } = newNames(exchange, vapp, body);
  return change(exchange, vapp, operationName, () => {
    vapp.name = name;
    vapp.description = description;
  });
}

function removeVapp(exchange: Exchange): Answer {
  const vapp = writable(exchange, 'FullControl');
  requireStopped(exchange.cloud, vapp);
  const vmIds = exchange.cloud.vmsOf(vapp).map((vm) => vm.id);
  return accepted(exchange, {
    operationName: 'vdcDeleteVapp',
    operation: 'Deleting Virtual Application',
    entity: vapp,
    alsoBlocks: vmIds,
    work: () => deleteVapp(exchange.cloud, vapp),
  });
}

/** xs:int */
const MAX_LEASE_SECONDS = 2_147_483_647;

function updateLease(exchange: Exchange): Answer {
  const vapp = writable(exchange);
  const body = readBody(exchange, { element: 'LeaseSettingsSection', media: MEDIA.leaseSettings });
  const limit = exchange.cloud.organization(vapp.organizationId)?.leaseLimit ?? { deploymentSeconds: 0, storageSeconds: 0 };
  const seconds = (element: string, current: number, limitSeconds: number): number => {
    const value = Number(body.textAt(element) ?? current);
    if (value > MAX_LEASE_SECONDS) throw badRequest(`The lease ${element} is not a valid number of seconds.`);
    if (value < 0 || (value > 0 && value < 3600)) throw badRequest(`The lease ${element} must be 0 or at least 3600 seconds.`);
    // 0 is "never expires", the longest of all.
    if (limitSeconds > 0 && (value === 0 || value > limitSeconds))
      throw badRequest(`The lease ${element} of vApp "${vapp.name}" exceeds the organization's limit of ${limitSeconds} seconds.`);
    return value;
  };
  const lease = {
    deploymentSeconds: seconds('DeploymentLeaseInSeconds', vapp.lease.deploymentSeconds, limit.deploymentSeconds),
    storageSeconds: seconds('StorageLeaseInSeconds', vapp.lease.storageSeconds, limit.storageSeconds),
  };
  return change(exchange, vapp, 'vdcUpdateVappLeaseSettings', () => {
    vapp.lease = lease;
  });
}

const START_ACTIONS = ['powerOn', 'none'];
const STOP_ACTIONS = ['powerOff', 'guestShutdown', 'suspend', 'none'];

function updateStartup(exchange: Exchange): Answer {
  const vapp = writable(exchange);
  const body = readBody(exchange, { element: 'StartupSection', namespace: NAMESPACES.ovf, type: 'o/StartupSection', media: MEDIA.startup });
  const vmNames = exchange.cloud.vmsOf(vapp).map((vm) => vm.name);
  const items = body.childrenNamed('Item', NAMESPACES.ovf).map((item): StartupItem => {
    const read = (name: string, fallback: string): string => item.attribute(name, NAMESPACES.ovf) ?? fallback;
    const number = (name: string): number => {
      const value = Number(read(name, '0'));
      if (!Number.isInteger(value) || value < 0 || value > 65_535)
        throw badRequest(`Invalid ovf:${name} in the startup section of vApp "${vapp.name}".`);
      return value;
    };
    return {
      vmName: read('id', ''),
      order: number('order'),
      startAction: read('startAction', 'powerOn'),
      startDelaySeconds: number('startDelay'),
      stopAction: read('stopAction', 'powerOff'),
      stopDelaySeconds: number('stopDelay'),
    };
  });
  for (const item of items) {
    if (!vmNames.includes(item.vmName))
      throw badRequest(`The startup section names the VM "${item.vmName}", which is not in vApp "${vapp.name}".`);
    if (!START_ACTIONS.includes(item.startAction) || !STOP_ACTIONS.includes(item.stopAction)) {
      throw badRequest(`The startup action of VM "${item.vmName}" is not valid.`);
    }
  }
  return change(exchange, vapp, 'vdcUpdateVappStartupSection', () => {
    const unnamed = vapp.startup.filter((old) => !items.some((item) => item.vmName === old.vmName));
    vapp.startup = [...items, ...unnamed];
  });
}

function updateNetworks(exchange: Exchange): Answer {
  const vapp = writable(exchange);
  const body = readBody(exchange, { element: 'NetworkConfigSection', media: MEDIA.networkConfig });
  const networks = readNetworks(exchange.cloud, vapp, body);
  return change(exchange, vapp, 'vdcUpdateVappNetworkSection', () => applyNetworks(exchange.cloud, vapp, networks));
}

/** A vApp's own network; an organization's network is not this API's to delete. */
function removeNetwork(exchange: Exchange): Answer {
  const { id = '' } = exchange.parameters;
  const owner = exchange.cloud.state.vapps.find((candidate) => candidate.networks.some((network) => network.id === id));
  if (!owner || exchange.cloud.accessLevel(exchange.session, owner) === 'none') throw noAccess('network', id);
  const vapp = writableVapp(exchange, owner.id);
  const kept = vapp.networks.filter((network) => network.id !== id);
  requireUnused(exchange.cloud, vapp, kept);
  return change(exchange, vapp, 'networkDelete', () => applyNetworks(exchange.cloud, vapp, kept));
}

/** 204 and no task. */
function updateOwner(exchange: Exchange): Answer {
  const vapp = writable(exchange, 'FullControl');
  const body = readBody(exchange, { element: 'Owner', media: MEDIA.owner });
  const id = idFromHref(body.child('User')?.attribute('href', '') ?? '', 'admin/user/');
  const user = exchange.cloud.user(id);
  const system = exchange.cloud.systemOrganization();
  if (!user || (user.organizationId !== vapp.organizationId && !(exchange.session.isProvider && user.organizationId === system.id))) {
    throw new VcdFault(400, 'INVALID_REFERENCE', `The user ${id} does not exist in the organization of vApp "${vapp.name}".`);
  }
  vapp.ownerUserId = user.id;
  exchange.cloud.changed();
  return noContent;
}

/** 200 with what is now in force, and no task. */
function updateAccess(exchange: Exchange): Answer {
  const vapp = writable(exchange, 'FullControl');
  vapp.access = readAccess(exchange, vapp);
  exchange.cloud.changed();
  return ok(controlAccessView(exchange, vapp), MEDIA.controlAccess);
}

/** 204, no task; running tasks go on (guide, chapter 8). */
function setMaintenance(exchange: Exchange, on: boolean): Answer {
  requireProvider(exchange);
  const vapp = seen(exchange);
  if (on && vapp.inMaintenanceMode && exchange.cloud.variants.enterMaintenanceTwice === '400')
    throw badRequest(`The vApp "${vapp.name}" is in maintenance mode already.`);
  vapp.inMaintenanceMode = on;
  exchange.cloud.changed();
  return noContent;
}

function deploy(exchange: Exchange): Answer {
  const vapp = writable(exchange);
  const body = readBody(exchange, { element: 'DeployVAppParams', media: MEDIA.deploy });
  const powerOn = /^(true|1)$/.test(body.attribute('powerOn', '') ?? 'true');
  const vms = exchange.cloud.vmsOf(vapp);
  return change(exchange, vapp, 'vappDeploy', async () => {
    vapp.deployed = true;
    for (const vm of vms) vm.deployed = true;
    if (powerOn) await powerOnVms(exchange.cloud, vapp, vms);
  });
}

function undeploy(exchange: Exchange): Answer {
  const vapp = writable(exchange);
  const body = readBody(exchange, { element: 'UndeployVAppParams', media: MEDIA.undeploy });
  if (!vapp.deployed) throw badRequest(`The requested operation could not be executed since vApp "${vapp.name}" is not running.`);
  const suspend = body.textAt('UndeployPowerAction') === 'suspend';
  return change(exchange, vapp, 'vappUndeployPowerOff', () =>
    powerOffVms(exchange.cloud, vapp, exchange.cloud.vmsOf(vapp), { suspend, undeploy: true }),
  );
}

function power(exchange: Exchange, on: boolean): Answer {
  const vapp = writable(exchange);
  const vms = exchange.cloud.vmsOf(vapp);
  if (!on && !vapp.deployed) throw badRequest(`The requested operation could not be executed since vApp "${vapp.name}" is not running.`);
  return change(exchange, vapp, on ? 'vappDeploy' : 'vappPowerOff', () =>
    on ? powerOnVms(exchange.cloud, vapp, vms) : powerOffVms(exchange.cloud, vapp, vms, { undeploy: false }),
  );
}

/** ProductSections as they are kept: exactly what was sent. */
export function readProductSections(exchange: Exchange): string[] {
  const body = readBody(exchange, { element: 'ProductSectionList', media: MEDIA.productSections });
  return body
    .childrenNamed('ProductSection', NAMESPACES.ovf)
    .map((section) => writeXml(section, { prefixes: WRITE_PREFIXES, declaration: false }));
}
