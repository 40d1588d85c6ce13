import { parseXml, type XmlElement } from '../../../../src/common/index.js';
import type { SimVm } from '../../model/vsphere-types.js';
import { badRequest } from '../faults.js';
import { type Answer, type Exchange, ok, readBody } from '../exchange.js';
import { accepted, writableVm } from '../operations/guard.js';
import { deleteVapp, deleteVm, powerOffVms, powerOnVms } from '../operations/life.js';
import { readNetworkConnections } from '../operations/nics.js';
import * as sections from '../operations/vm-sections.js';
import { type Route, route } from '../router.js';
import type { Vm } from '../state.js';
import { cpuItem, diskItems, memoryItem, networkCardItems, rasdItemsList, virtualHardwareSection } from '../views/hardware-view.js';
import { productSectionsView } from '../views/vapp-view.js';
import {
  bootOptions,
  guestCustomizationSection,
  networkConnectionSection,
  operatingSystemSection,
  runtimeInfoSection,
  snapshotSection,
  vmCapabilities,
  vmView,
} from '../views/vm-view.js';
import { MEDIA, NAMESPACES } from '../xml-names.js';
import { readProductSections } from './vapp-routes.js';

const VM = 'vApp/vm-:id';
const HARDWARE = `${VM}/virtualHardwareSection`;

const seen = (exchange: Exchange): Vm => exchange.cloud.requireVm(exchange.session, exchange.parameters.id ?? '');
const writable = (exchange: Exchange): Vm => writableVm(exchange, exchange.parameters.id ?? '');

/** A view that needs the VM in vCenter. */
function showing(view: (exchange: Exchange, vm: Vm, hardware: SimVm) => XmlElement, media: string): (exchange: Exchange) => Answer {
  return (exchange) => {
    const vm = seen(exchange);
    return ok(view(exchange, vm, sections.requireHardware(exchange, vm)), media);
  };
}

export const vmRoutes: readonly Route[] = [
  route('GET', VM, (exchange) => ok(vmView(exchange, seen(exchange)), MEDIA.vm)),
  route('PUT', VM, updateVm),
  route('DELETE', VM, removeVm),
  route('POST', `${VM}/action/reconfigureVm`, reconfigureVm),
  route('GET', HARDWARE, showing(virtualHardwareSection, MEDIA.virtualHardware)),
  route('PUT', HARDWARE, updateHardware),
  route(
    'GET',
    `${HARDWARE}/cpu`,
    showing((exchange, vm, hardware) => cpuItem(exchange, vm, hardware, 'Item'), MEDIA.rasdItem),
  ),
  route('PUT', `${HARDWARE}/cpu`, updateItem),
  route(
    'GET',
    `${HARDWARE}/memory`,
    showing((exchange, vm, hardware) => memoryItem(exchange, vm, hardware, 'Item'), MEDIA.rasdItem),
  ),
  route('PUT', `${HARDWARE}/memory`, updateItem),
  route(
    'GET',
    `${HARDWARE}/disks`,
    showing((exchange, vm, hardware) => itemsList(exchange, vm, 'disks', diskItems(exchange, vm, hardware, 'Item')), MEDIA.rasdItemsList),
  ),
  route('PUT', `${HARDWARE}/disks`, updateItems),
  route(
    'GET',
    `${HARDWARE}/networkCards`,
    showing(
      (exchange, vm, hardware) => itemsList(exchange, vm, 'networkCards', networkCardItems(exchange, vm, hardware, 'Item')),
      MEDIA.rasdItemsList,
    ),
  ),
  route('PUT', `${HARDWARE}/networkCards`, updateItems),
  route('GET', `${VM}/operatingSystemSection`, showing(operatingSystemSection, MEDIA.operatingSystem)),
  route('PUT', `${VM}/operatingSystemSection`, updateOperatingSystem),
  route('GET', `${VM}/networkConnectionSection`, showing(networkConnectionSection, MEDIA.networkConnection)),
  route('PUT', `${VM}/networkConnectionSection`, (exchange) => {
    const vm = writable(exchange);
    const body = readBody(exchange, { element: 'NetworkConnectionSection', media: MEDIA.networkConnection });
    return change(exchange, vm, [sections.networkConnectionChange(exchange, vm, readNetworkConnections(body))]);
  }),
  route('GET', `${VM}/guestCustomizationSection`, (exchange) =>
    ok(guestCustomizationSection(exchange, seen(exchange)), MEDIA.guestCustomization),
  ),
  route('PUT', `${VM}/guestCustomizationSection`, (exchange) => {
    const vm = writable(exchange);
    const body = readBody(exchange, { element: 'GuestCustomizationSection', media: MEDIA.guestCustomization });
    return change(exchange, vm, [sections.guestCustomizationChange(vm, body)]);
  }),
  route('GET', `${VM}/runtimeInfoSection`, (exchange) => ok(runtimeInfoSection(exchange, seen(exchange)), MEDIA.runtimeInfo)),
  route('GET', `${VM}/snapshotSection`, showing(snapshotSection, MEDIA.snapshotSection)),
  route('GET', `${VM}/vmCapabilities`, (exchange) => ok(vmCapabilities(exchange, seen(exchange)), MEDIA.vmCapabilities)),
  route('PUT', `${VM}/vmCapabilities`, (exchange) => {
    const vm = writable(exchange);
    const body = readBody(exchange, { element: 'VmCapabilities', media: MEDIA.vmCapabilities });
    return change(exchange, vm, [sections.capabilitiesChange(vm, body)]);
  }),
  route('GET', `${VM}/bootOptions`, (exchange) => ok(bootOptions(exchange, seen(exchange)), MEDIA.bootOptions)),
  route('POST', `${VM}/action/bootOptions`, (exchange) => {
    const vm = writable(exchange);
    const body = readBody(exchange, { element: 'BootOptions', media: MEDIA.bootOptions });
    return change(exchange, vm, [sections.bootOptionsChange(vm, body)]);
  }),
  route('GET', `${VM}/productSections`, (exchange) => {
    const vm = seen(exchange);
    return ok(productSectionsView(`${exchange.hrefs.vm(vm.id)}/productSections/`, vm.productSections), MEDIA.productSections);
  }),
  route('PUT', `${VM}/productSections`, (exchange) => {
    const vm = writable(exchange);
    const texts = readProductSections(exchange);
    return change(exchange, vm, [
      sections.productSectionsChange(
        vm,
        texts.map((text) => parseXml(text)),
      ),
    ]);
  }),
  route('POST', `${VM}/power/action/powerOn`, (exchange) => power(exchange, true)),
  route('POST', `${VM}/power/action/powerOff`, (exchange) => power(exchange, false)),
  route('POST', `${VM}/action/deploy`, (exchange) => {
    readBody(exchange, { element: 'DeployVAppParams', media: MEDIA.deploy });
    return power(exchange, true);
  }),
  route('POST', `${VM}/action/undeploy`, undeploy),
];

function itemsList(exchange: Exchange, vm: Vm, name: string, items: XmlElement[]): XmlElement {
  return rasdItemsList(`${exchange.hrefs.vm(vm.id)}/virtualHardwareSection/${name}`, items);
}

function change(exchange: Exchange, vm: Vm, changes: readonly sections.VmChange[], operationName = 'vappUpdateVm'): Answer {
  return accepted(exchange, {
    operationName,
    operation: 'Updating Virtual Machine',
    entity: vm,
    work: async () => {
      for (const apply of changes) await apply();
      exchange.cloud.changed();
    },
  });
}

/** PUT writes name and Description, as for a vApp: an absent Description empties it. */
function updateVm(exchange: Exchange): Answer {
  const vm = writable(exchange);
  const body = readBody(exchange, { element: 'Vm', media: MEDIA.vm });
  const description = body.textAt('Description') ?? '';
  return change(exchange, vm, [
    sections.nameChange(exchange, vm, body.attribute('name', '')),
    () => {
      vm.description = description;
    },
  ]);
}

function reconfigureVm(exchange: Exchange): Answer {
  const vm = writable(exchange);
  const body = readBody(exchange, { element: 'Vm', media: MEDIA.vm });
  return change(exchange, vm, sections.vmBodyChanges(exchange, vm, body));
}

function removeVm(exchange: Exchange): Answer {
  const vm = writable(exchange);
  if (exchange.cloud.hardware(vm)?.powerState === 'poweredOn' || vm.deployed) {
    throw badRequest(`The requested operation could not be executed on VM "${vm.name}". Stop the VM and try again.`);
  }
  const vapp = exchange.cloud.vappOf(vm);
  return accepted(exchange, {
    operationName: 'vdcDeleteVm',
    operation: 'Deleting Virtual Machine',
    entity: vm,
    alsoBlocks: [vapp.id],
    // VCD's own vApp around a standalone VM does not outlive it.
    work: () => (vapp.autoNature ? deleteVapp(exchange.cloud, vapp) : deleteVm(exchange.cloud, vm)),
  });
}

function updateHardware(exchange: Exchange): Answer {
  const vm = writable(exchange);
  const body = readBody(exchange, {
    element: 'VirtualHardwareSection',
    namespace: NAMESPACES.ovf,
    type: 'o/VirtualHardwareSection',
    media: MEDIA.virtualHardware,
  });
  const items = body.childrenNamed('Item', NAMESPACES.ovf);
  return change(exchange, vm, [
    sections.hardwareItemsChange(exchange, vm, items),
    sections.networkConnectionChange(exchange, vm, sections.networkCards(items)),
  ]);
}

function updateItem(exchange: Exchange): Answer {
  const vm = writable(exchange);
  const body = readBody(exchange, { element: 'Item', type: 'o/Item', media: MEDIA.rasdItem });
  return change(exchange, vm, [sections.hardwareItemsChange(exchange, vm, [body])]);
}

function updateItems(exchange: Exchange): Answer {
  const vm = writable(exchange);
  const items = readBody(exchange, { element: 'RasdItemsList', media: MEDIA.rasdItemsList }).childrenNamed('Item');
  const cards = sections.networkCards(items);
  const changes = [sections.hardwareItemsChange(exchange, vm, items)];
  if (cards.nics.length > 0) changes.push(sections.networkConnectionChange(exchange, vm, cards));
  return change(exchange, vm, changes);
}

function updateOperatingSystem(exchange: Exchange): Answer {
  const vm = writable(exchange);
  const body = readBody(exchange, {
    element: 'OperatingSystemSection',
    namespace: NAMESPACES.ovf,
    type: 'o/OperatingSystemSection',
    media: MEDIA.operatingSystem,
  });
  const guestId = body.attribute('osType', NAMESPACES.vmw);
  if (!guestId) throw badRequest(`The operating system section of VM "${vm.name}" needs vmw:osType.`);
  return change(exchange, vm, [() => exchange.cloud.vsphere.setHardware(vm.moRef, { guestId })]);
}

function power(exchange: Exchange, on: boolean): Answer {
  const vm = writable(exchange);
  const { cloud } = exchange;
  const vapp = cloud.vappOf(vm);
  if (!on && cloud.hardware(vm)?.powerState !== 'poweredOn')
    throw badRequest(`The requested operation could not be executed since VM "${vm.name}" is not running.`);
  return change(
    exchange,
    vm,
    [() => (on ? powerOnVms(cloud, vapp, [vm]) : powerOffVms(cloud, vapp, [vm], { undeploy: false }))],
    on ? 'vappDeploy' : 'vappPowerOff',
  );
}

function undeploy(exchange: Exchange): Answer {
  const vm = writable(exchange);
  const body = readBody(exchange, { element: 'UndeployVAppParams', media: MEDIA.undeploy });
  if (!vm.deployed) throw badRequest(`The requested operation could not be executed since VM "${vm.name}" is not running.`);
  const suspend = body.textAt('UndeployPowerAction') === 'suspend';
  return change(
    exchange,
    vm,
    [() => powerOffVms(exchange.cloud, exchange.cloud.vappOf(vm), [vm], { suspend, undeploy: true })],
    'vappUndeployPowerOff',
  );
}
