import type { XmlElement } from '../common/index.js';
import { policiesAt, saysNoListing } from './compute-policies.js';
import type { VcdContext } from './context.js';
import { identity, recordOwner } from './inventory.js';
import { type EntityKind, urnOf } from './links.js';
import { queryRecords } from './query.js';
import type { CloudResourceKind, CloudResourceRecord } from './types.js';

interface ResourceType {
  urn: EntityKind;
  /** Undefined: there is no such listing for this login. */
  provider: string | undefined;
  tenant: string | undefined;
}

/** Query types by kind; what VCD keeps for the provider has no type for tenants. */
const TYPES: Readonly<Record<Exclude<CloudResourceKind, 'compute-policy'>, ResourceType>> = {
  'provider-vdc': { urn: 'providervdc', provider: 'providerVdc', tenant: undefined },
  vcenter: { urn: 'vimserver', provider: 'virtualCenter', tenant: undefined },
  datastore: { urn: 'datastore', provider: 'datastore', tenant: undefined },
  'storage-profile': { urn: 'vdcstorageProfile', provider: 'adminOrgVdcStorageProfile', tenant: 'orgVdcStorageProfile' },
  'external-network': { urn: 'network', provider: 'externalNetwork', tenant: undefined },
  'organization-network': { urn: 'network', provider: 'orgVdcNetwork', tenant: 'orgVdcNetwork' },
  catalog: { urn: 'catalog', provider: 'adminCatalog', tenant: 'catalog' },
};

/** Never shown: they are fields of their own, or change with every look and say nothing. */
const NO_DETAIL = new Set(['href', 'id', 'name', 'type', 'org', 'vdc', 'userName', 'task']);

const POLICIES = '/cloudapi/1.0.0/vdcComputePolicies';

/** What stands around vApps, a page at a time. A kind this login or this release has no listing for is empty. */
export async function* resources(context: VcdContext, kind: CloudResourceKind, signal?: AbortSignal): AsyncGenerator<CloudResourceRecord> {
  if (kind === 'compute-policy') {
    yield* computePolicies(context, signal);
    return;
  }
  const { urn, provider, tenant } = TYPES[kind];
  const type = context.http.session.isProvider ? provider : tenant;
  if (type === undefined) return;
  const owner = await recordOwner(context, signal);
  const operation = `Listing ${kind.replace('-', ' ')}s`;
  for await (const record of queryRecords(context.http, { type, operation, signal })) {
    const { href, name } = identity(record, operation);
    const vdcHref = record.attribute('vdc');
    yield {
      kind,
      id: urnOf(urn, href),
      name,
      href,
      organizationId: owner.organization(record),
      vdcId: vdcHref ? urnOf('vdc', vdcHref) : '',
      details: detailsOf(record),
    };
  }
}

function detailsOf(record: XmlElement): Record<string, string> {
  return Object.fromEntries(
    record.attributes.filter(({ local, value }) => !NO_DETAIL.has(local) && value !== '').map(({ local, value }) => [local, value]),
  );
}

async function* computePolicies(context: VcdContext, signal?: AbortSignal): AsyncGenerator<CloudResourceRecord> {
  try {
    for await (const { id, name, attributes } of policiesAt(context, POLICIES, 'Listing compute policies', signal)) {
      const shown = Object.entries(attributes).filter(
        ([, value]) => ['string', 'number', 'boolean'].includes(typeof value) && value !== '',
      );
      const details = Object.fromEntries(shown.map(([attribute, value]) => [attribute, String(value)]));
      yield { kind: 'compute-policy', id, name, href: `${POLICIES}/${id}`, organizationId: '', vdcId: '', details };
    }
  } catch (error) {
    // Then there is nothing to show.
    if (!saysNoListing(error)) throw error;
  }
}
