import type { XmlElement } from '../common/index.js';
import type { VcdContext } from './context.js';
import { badAnswer } from './error.js';
import { referenceOf, sameEntity, urnOf } from './links.js';
import { allOf, filterValue, queryRecords, type RecordQuery } from './query.js';
import type { OrganizationRecord, VappRecord, VdcRecord, VimServerRecord, VmRecord } from './types.js';

/** VMs of templates are records of the same types as those of vApps. */
const OF_VAPPS = 'isVAppTemplate==false';
const OF_TEMPLATES = 'isVAppTemplate==true';

/** What a tenant's records leave out: the organization is always the one of the login. */
export interface RecordOwner {
  provider: boolean;
  organization: (record: XmlElement) => string;
}

/**
 * The inventory by the query service, a page at a time: one request per 128 objects instead of one
 * per object. The system administrator asks the admin types, a tenant the plain ones.
 */
export async function* organizations(context: VcdContext, signal?: AbortSignal): AsyncGenerator<OrganizationRecord> {
  if (!context.http.session.isProvider) {
    yield await ownOrganization(context, signal);
    return;
  }
  for await (const record of queryRecords(context.http, { type: 'organization', operation: 'Listing organizations', signal })) {
    const { href, name } = identity(record, 'Listing organizations');
    yield {
      id: urnOf('org', href),
      name,
      displayName: record.attribute('displayName') || name,
      href,
      enabled: record.attribute('isEnabled') !== 'false',
    };
  }
}

/** The organization type is the provider's alone; a tenant has exactly the one of its login. */
async function ownOrganization(context: VcdContext, signal?: AbortSignal): Promise<OrganizationRecord> {
  const operation = 'Reading the organization of this login';
  const list = (await context.http.get('/api/org', operation, signal)).root();
  const reference = referenceOf(list.child('Org'));
  if (reference === undefined) throw badAnswer(operation, 'the list of organizations is empty');
  const org = (await context.http.get(reference.href, operation, signal)).root();
  const name = org.attribute('name') ?? reference.name ?? '';
  return {
    id: urnOf('org', reference.href),
    name,
    displayName: org.textAt('FullName') || name,
    href: reference.href,
    enabled: org.textAt('IsEnabled') !== 'false',
  };
}

export async function recordOwner(context: VcdContext, signal?: AbortSignal): Promise<RecordOwner> {
  const provider = context.http.session.isProvider;
  const own = provider ? undefined : await ownOrganization(context, signal);
  return {
    provider,
    organization: (record) => {
      const href = record.attribute('org');
      return href ? urnOf('org', href) : (own?.id ?? '');
    },
  };
}

export async function* vdcs(context: VcdContext, signal?: AbortSignal): AsyncGenerator<VdcRecord> {
  const provider = context.http.session.isProvider;
  const own = provider ? undefined : await ownOrganization(context, signal);
  const operation = 'Listing VDCs';
  for await (const record of queryRecords(context.http, { type: provider ? 'adminOrgVdc' : 'orgVdc', operation, signal })) {
    const { href, name } = identity(record, operation);
    context.names.remember(href, name);
    const orgHref = record.attribute('org');
    yield {
      id: urnOf('vdc', href),
      name,
      href,
      organizationId: orgHref ? urnOf('org', orgHref) : (own?.id ?? ''),
      organizationName: record.attribute('orgName') ?? own?.name ?? '',
      enabled: record.attribute('isEnabled') !== 'false',
    };
  }
}

export async function* vapps(context: VcdContext, filter?: string, signal?: AbortSignal): AsyncGenerator<VappRecord> {
  const owner = await recordOwner(context, signal);
  const operation = 'Listing vApps';
  for await (const record of queryRecords(context.http, { type: owner.provider ? 'adminVApp' : 'vApp', filter, operation, signal })) {
    const { href, name } = identity(record, operation);
    context.names.remember(href, name);
    yield {
      id: urnOf('vapp', href),
      name,
      href,
      vdcId: urnOf('vdc', record.attribute('vdc') ?? ''),
      organizationId: owner.organization(record),
      ownerName: record.attribute('ownerName') ?? '',
      status: record.attribute('status') ?? '',
      vmCount: count(record.attribute('numberOfVMs')),
      storageKib: count(record.attribute('storageKB')),
      inMaintenanceMode: record.attribute('isInMaintenanceMode') === 'true',
      busy: record.attribute('isBusy') === 'true',
      standalone: record.attribute('isAutoNature') === 'true',
    };
  }
}

/** VMs of vApps; those of templates are listed by templateVms(). */
export function vms(context: VcdContext, filter?: string, signal?: AbortSignal): AsyncGenerator<VmRecord> {
  return vmRecords(context, { filter: allOf(filter, OF_VAPPS), operation: 'Listing VMs', signal }, false);
}

/** VMs of vApp templates. */
export function templateVms(context: VcdContext, filter?: string, signal?: AbortSignal): AsyncGenerator<VmRecord> {
  return vmRecords(context, { filter: allOf(filter, OF_TEMPLATES), operation: 'Listing VMs of vApp templates', signal }, true);
}

/** The type and filter of vms(), for counting. */
export function vmQuery(context: VcdContext): Pick<RecordQuery, 'type' | 'filter'> {
  return { type: context.http.session.isProvider ? 'adminVM' : 'vm', filter: OF_VAPPS };
}

async function* vmRecords(context: VcdContext, query: Omit<RecordQuery, 'type'>, inTemplate: boolean): AsyncGenerator<VmRecord> {
  const owner = await recordOwner(context, query.signal);
  for await (const record of queryRecords(context.http, { ...query, type: owner.provider ? 'adminVM' : 'vm' })) {
    if ((record.attribute('isVAppTemplate') === 'true') !== inTemplate || record.attribute('isDeleted') === 'true') continue;
    const { href, name } = identity(record, query.operation);
    context.names.remember(href, name);
    const vimServer = record.attribute('vc');
    yield {
      id: urnOf('vm', href),
      name,
      href,
      vappId: urnOf(inTemplate ? 'vapptemplate' : 'vapp', record.attribute('container') ?? ''),
      vdcId: urnOf('vdc', record.attribute('vdc') ?? ''),
      organizationId: owner.organization(record),
      status: record.attribute('status') ?? '',
      moRef: record.attribute('moref') ?? '',
      vimServerId: vimServer ? urnOf('vimserver', vimServer) : '',
      hostName: record.attribute('hostName') ?? '',
      datastoreName: record.attribute('datastoreName') ?? '',
      localId: record.attribute('vappScopedLocalId') || undefined,
      inTemplate,
    };
  }
}

/** The vCenters of this VCD, each with its own instance UUID: what ties a moRef to a vCenter. */
export async function vimServers(context: VcdContext, signal?: AbortSignal): Promise<VimServerRecord[]> {
  return (await readVimServers(context, signal)).map(({ href, name, server }) => ({
    id: urnOf('vimserver', href),
    name,
    href,
    url: server.textAt('Url') ?? '',
    instanceUuid: server.textAt('Uuid') ?? '',
  }));
}

/** Every vCenter as it tells of itself: the list of them only names them. */
export async function readVimServers(
  context: VcdContext,
  signal?: AbortSignal,
): Promise<{ href: string; name: string; server: XmlElement }[]> {
  const list = (await context.http.get('/api/admin/extension/vimServerReferences', 'Listing vCenter servers', signal)).root();
  const found: { href: string; name: string; server: XmlElement }[] = [];
  for (const { href, name = '' } of list.childrenNamed('VimServerReference').flatMap((element) => referenceOf(element) ?? [])) {
    const server = (await context.http.get(href, `Reading vCenter server "${name}"`, signal)).root();
    found.push({ href, name: server.attribute('name') ?? name, server });
  }
  return found;
}

/** The vApp of that name in that VDC. Names are unique within a VDC. */
export async function findVapp(context: VcdContext, vdcHref: string, name: string, signal?: AbortSignal): Promise<VappRecord | undefined> {
  const filter = `name==${filterValue(name, context.http.session.apiVersion)}`;
  for await (const record of vapps(context, filter, signal)) {
    // FIQL takes * as a wildcard, and some releases compare without case: the record decides.
    if (record.name === name && sameEntity(record.vdcId, vdcHref)) return record;
  }
  return undefined;
}

/** @throws VcdError BAD_ANSWER for a record without address or name. */
export function identity(record: XmlElement, operation: string): { href: string; name: string } {
  const href = record.attribute('href');
  const name = record.attribute('name');
  if (href === undefined || name === undefined) throw badAnswer(operation, `a ${record.local} has no href or no name`);
  return { href, name };
}

/** A count or size; 0 where it is absent or no whole number. */
export function count(text: string | undefined): number {
  const value = Number(text ?? 0);
  return Number.isSafeInteger(value) && value >= 0 ? value : 0;
}
