import { parseXml, type XmlElement } from '../../../../src/common/index.js';
import { noAccess, VcdFault } from '../faults.js';
import { type Answer, type Exchange, noContent, ok, requireProvider } from '../exchange.js';
import { type Route, route } from '../router.js';
import type { Organization } from '../state.js';
import type { Task } from '../tasks.js';
import {
  adminOrgView,
  organizationSettings,
  orgListView,
  orgNetworkView,
  orgView,
  userView,
  vappLeaseSettings,
  vappNetworkView,
  vcloudView,
} from '../views/organization-view.js';
import { tasksListView, taskView } from '../views/task-view.js';
import { adminVdcView, computePolicyReferences, storageProfileView, vdcView } from '../views/vdc-view.js';
import { metadataView } from '../views/metadata-view.js';
import { MEDIA } from '../xml-names.js';

export const organizationRoutes: readonly Route[] = [
  route('GET', 'org', (exchange) => ok(orgListView(exchange), MEDIA.orgList)),
  route('GET', 'org/:id', (exchange) =>
    ok(orgView(exchange, exchange.cloud.requireOrganization(exchange.session, idOf(exchange))), MEDIA.org),
  ),
  route('GET', 'tasksList/:id', tasksList),
  route('GET', 'task/:id', (exchange) => ok(taskView(exchange, requireTask(exchange)), MEDIA.task)),
  route('POST', 'task/:id/action/cancel', (exchange) => {
    exchange.cloud.tasks.cancel(requireTask(exchange));
    return noContent;
  }),
  route('GET', 'vdc/:id', (exchange) => ok(vdcView(exchange, exchange.cloud.requireVdc(exchange.session, idOf(exchange))), MEDIA.vdc)),
  route('GET', 'vdc/:id/metadata', vdcMetadata),
  route(
    'GET',
    'admin',
    forProvider((exchange) => ok(vcloudView(exchange), MEDIA.vcloud)),
  ),
  route(
    'GET',
    'admin/org/:id',
    administered((exchange) =>
      ok(adminOrgView(exchange, exchange.cloud.requireOrganization(exchange.session, idOf(exchange))), MEDIA.adminOrg),
    ),
  ),
  ...settingsRoutes(),
  route(
    'GET',
    'admin/vdc/:id',
    forProvider((exchange) => ok(adminVdcView(exchange, exchange.cloud.requireVdc(exchange.session, idOf(exchange))), MEDIA.adminVdc)),
  ),
  route('GET', 'admin/vdc/:id/metadata', vdcMetadata),
  route(
    'GET',
    'admin/vdc/:id/computePolicies',
    forProvider((exchange) =>
      ok(computePolicyReferences(exchange, exchange.cloud.requireVdc(exchange.session, idOf(exchange))), MEDIA.computePolicyReferences),
    ),
  ),
  route('GET', 'admin/user/:id', getUser),
  route('GET', 'network/:id', getNetwork),
  route('GET', 'admin/network/:id', getNetwork),
  route('GET', 'vdcStorageProfile/:id', (exchange) => getStorageProfile(exchange, false)),
  route(
    'GET',
    'admin/vdcStorageProfile/:id',
    forProvider((exchange) => getStorageProfile(exchange, true)),
  ),
];

const idOf = (exchange: Exchange): string => exchange.parameters.id ?? '';

function forProvider(handle: (exchange: Exchange) => Answer): (exchange: Exchange) => Answer {
  return (exchange) => {
    requireProvider(exchange);
    return handle(exchange);
  };
}

/** The organization's own administrator sees its admin view too. */
function administered(handle: (exchange: Exchange) => Answer): (exchange: Exchange) => Answer {
  return (exchange) => {
    if (exchange.session.user.role !== 'Organization Administrator') requireProvider(exchange);
    return handle(exchange);
  };
}

function settingsRoutes(): Route[] {
  const at = (path: string, media: string, view: (exchange: Exchange, organization: Organization) => XmlElement): Route =>
    route(
      'GET',
      `admin/org/:id/settings${path}`,
      administered((exchange) => ok(view(exchange, exchange.cloud.requireOrganization(exchange.session, idOf(exchange))), media)),
    );
  return [
    at('', MEDIA.orgSettings, (exchange, organization) => organizationSettings(exchange, organization, 'OrgSettings')),
    at('/vAppLeaseSettings', MEDIA.vappLeaseSettings, vappLeaseSettings),
  ];
}

function requireTask(exchange: Exchange): Task {
  const task = exchange.cloud.tasks.get(idOf(exchange));
  if (!task || (!exchange.session.isProvider && task.organizationId !== exchange.session.organization.id))
    throw noAccess('task', idOf(exchange));
  return task;
}

function tasksList(exchange: Exchange): Answer {
  const organization = exchange.cloud.requireOrganization(exchange.session, idOf(exchange));
  const tasks = exchange.cloud.tasks.all().filter((task) => task.organizationId === organization.id);
  return ok(tasksListView(exchange, organization.id, tasks), MEDIA.tasksList);
}

function vdcMetadata(exchange: Exchange): Answer {
  const vdc = exchange.cloud.requireVdc(exchange.session, idOf(exchange));
  return ok(metadataView(`${exchange.hrefs.vdc(vdc.id)}/metadata`, []), MEDIA.metadata);
}

function getUser(exchange: Exchange): Answer {
  const user = exchange.cloud.user(idOf(exchange));
  const { session } = exchange;
  const mayRead = session.isProvider || user?.id === session.user.id || session.user.role === 'Organization Administrator';
  if (!user || !mayRead || (!session.isProvider && user.organizationId !== session.organization.id)) throw noAccess('user', idOf(exchange));
  return ok(userView(exchange, user), MEDIA.user);
}

function getNetwork(exchange: Exchange): Answer {
  const { cloud, session } = exchange;
  const id = idOf(exchange);
  const network = cloud.state.orgNetworks.find((candidate) => candidate.id === id);
  if (network) {
    cloud.requireVdc(session, network.vdcId);
    return ok(orgNetworkView(exchange, network), MEDIA.orgVdcNetwork);
  }
  for (const vapp of cloud.state.vapps) {
    const own = vapp.networks.find((candidate) => candidate.id === id);
    if (own && cloud.accessLevel(session, vapp) !== 'none') {
      const configuration: XmlElement | undefined = parseXml(own.xml).child('Configuration');
      if (configuration) configuration.children = configuration.elements().filter((child) => child.local !== 'ParentNetwork');
      return ok(vappNetworkView(exchange, vapp, own, configuration), MEDIA.vappNetwork);
    }
  }
  throw noAccess('network', id);
}

function getStorageProfile(exchange: Exchange, admin: boolean): Answer {
  const profile = exchange.cloud.storageProfile(idOf(exchange));
  if (!profile) throw noAccess('vdcstorageProfile', idOf(exchange));
  try {
    exchange.cloud.requireVdc(exchange.session, profile.vdcId);
  } catch (error) {
    throw error instanceof VcdFault ? noAccess('vdcstorageProfile', profile.id) : error;
  }
  return ok(storageProfileView(exchange, profile, admin), admin ? MEDIA.adminVdcStorageProfile : MEDIA.vdcStorageProfile);
}
