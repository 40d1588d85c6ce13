import { badRequest, noAccess } from '../faults.js';
import { type Answer, type Exchange, ok, requireProvider } from '../exchange.js';
import { importStandaloneVm, importVmAsTemplate, importVmAsVapp, importVmIntoVapp } from '../operations/import.js';
import { type Route, route } from '../router.js';
import {
  datastoresView,
  datastoreView,
  extensionView,
  hostReferencesView,
  providerVdcReferencesView,
  providerVdcView,
  vimServerReferencesView,
  vimServerView,
  vmsListView,
} from '../views/extension-view.js';
import { MEDIA } from '../xml-names.js';

const EXTENSION = 'admin/extension';
const VIM_SERVER = `${EXTENSION}/vimServer/:id`;

/** /api/admin/extension: the system administrator's only. */
export const extensionRoutes: readonly Route[] = [
  route(
    'GET',
    EXTENSION,
    provider((exchange) => ok(extensionView(exchange), MEDIA.extension)),
  ),
  route(
    'GET',
    `${EXTENSION}/vimServerReferences`,
    provider((exchange) => ok(vimServerReferencesView(exchange), MEDIA.vimServerReferences)),
  ),
  route(
    'GET',
    VIM_SERVER,
    vimServer((exchange) => ok(vimServerView(exchange), MEDIA.vimServer)),
  ),
  route('GET', `${VIM_SERVER}/vmsList`, vimServer(vmsList)),
  route(
    'GET',
    `${VIM_SERVER}/hostReferences`,
    vimServer((exchange) => ok(hostReferencesView(exchange), MEDIA.hostReferences)),
  ),
  route('POST', `${VIM_SERVER}/importVmAsVApp`, importVmAsVapp),
  route('POST', `${VIM_SERVER}/importVmIntoExistingVApp`, importVmIntoVapp),
  route('POST', `${VIM_SERVER}/importVm`, importStandaloneVm),
  route('POST', `${VIM_SERVER}/importVmAsVAppTemplate`, importVmAsTemplate),
  route(
    'GET',
    `${EXTENSION}/hostReferences`,
    provider((exchange) => ok(hostReferencesView(exchange), MEDIA.hostReferences)),
  ),
  route(
    'GET',
    `${EXTENSION}/providerVdcReferences`,
    provider((exchange) => ok(providerVdcReferencesView(exchange), MEDIA.providerVdcReferences)),
  ),
  route('GET', `${EXTENSION}/providervdc/:id`, provider(getProviderVdc)),
  route(
    'GET',
    `${EXTENSION}/datastores`,
    provider((exchange) => ok(datastoresView(exchange), MEDIA.datastores)),
  ),
  route('GET', `${EXTENSION}/datastore/:id`, provider(getDatastore)),
];

function provider(handle: (exchange: Exchange) => Answer): (exchange: Exchange) => Answer {
  return (exchange) => {
    requireProvider(exchange);
    return handle(exchange);
  };
}

function vimServer(handle: (exchange: Exchange) => Answer): (exchange: Exchange) => Answer {
  return provider((exchange) => {
    const { id = '' } = exchange.parameters;
    if (exchange.cloud.state.vimServer.id !== id) throw noAccess('vimServer', id);
    return handle(exchange);
  });
}

function vmsList(exchange: Exchange): Answer {
  const page = Number(exchange.query.get('page') ?? '1');
  if (!Number.isInteger(page) || page < 1) throw badRequest('Bad request: page must be a positive number.');
  return ok(vmsListView(exchange, page), MEDIA.vmsObjectRefsList);
}

function getProviderVdc(exchange: Exchange): Answer {
  const found = exchange.cloud.state.providerVdcs.find((candidate) => candidate.id === exchange.parameters.id);
  if (!found) throw noAccess('providervdc', exchange.parameters.id ?? '');
  return ok(providerVdcView(exchange, found), MEDIA.providerVdc);
}

function getDatastore(exchange: Exchange): Answer {
  const found = exchange.cloud.vsphere.datastores().find((candidate) => candidate.moRef === exchange.parameters.id);
  if (!found) throw noAccess('datastore', exchange.parameters.id ?? '');
  return ok(datastoreView(exchange, found), MEDIA.datastore);
}
