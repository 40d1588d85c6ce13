import { sameEntity, type VappCapture, type VcdClientApi, type VcdReference } from '../../vcd/index.js';
import { RestoreError } from '../errors.js';
import type { RestorePayload } from '../restore-request.js';
import type { TodaysCatalogs } from './rule-catalog.js';

/**
 * Reads the catalogs of today, and what has the name in the one that is meant.
 *
 * @returns also the organization the catalog belongs to, whose VDCs a template can be built in
 * @throws RestoreError CATALOG_GONE for a catalogId that is not there; VcdError
 */
export async function examineCatalogs(
  payload: RestorePayload,
  captured: { catalog: VcdReference | undefined; organization: VcdReference; name: string },
  vcd: Pick<VcdClientApi, 'resources' | 'findInCatalog' | 'isSubscribedCatalog'>,
  signal: AbortSignal,
): Promise<{ catalogs: TodaysCatalogs; organizationId: string | undefined }> {
  const listed: (TodaysCatalogs['all'][number] & { organizationId: string })[] = [];
  for await (const { id, name, href, organizationId } of vcd.resources('catalog', signal)) {
    // Items are made, and captured ones named, by the tenant's view.
    const reference = { id, name, href: href.replace('/api/admin/catalog/', '/api/catalog/') };
    listed.push({ ...reference, organizationId });
  }
  const inOrganization = (catalog: { organizationId: string }) =>
    payload.organizationId === undefined || catalog.organizationId === payload.organizationId;
  const chosen = payload.catalogId === undefined ? findCaptured() : listed.find(({ id }) => id === payload.catalogId);
  if (payload.catalogId !== undefined && (chosen === undefined || !inOrganization(chosen))) {
    const names = listed.filter(inOrganization).map(({ id, name }) => `"${name}" (${id})`);
    throw new RestoreError(
      'CATALOG_GONE',
      `catalogId names VCD catalog ${payload.catalogId}, which is not there; choose one of: ${names.join(', ') || 'none'}.`,
      { catalogId: payload.catalogId },
    );
  }
  const organizationId = chosen?.organizationId ?? payload.organizationId ?? captured.organization.id;
  const all = listed.filter((catalog) => organizationId === undefined || catalog.organizationId === organizationId);
  const found = chosen && (await vcd.findInCatalog(chosen.href, payload.name ?? captured.name, signal));
  const namesake = found && { entityHref: found.entityHref, kind: found.kind };
  const readOnly = chosen !== undefined && (await vcd.isSubscribedCatalog(chosen.href, signal));
  return { catalogs: { all, chosen, readOnly, namesake }, organizationId };

  /** By its id; one that was deleted and made anew is found by its name in the organization. */
  function findCaptured() {
    const { catalog, organization } = captured;
    const candidates = listed.filter(inOrganization);
    if (catalog === undefined) return undefined;
    const same = candidates.find(({ href }) => sameEntity(href, catalog.href));
    if (same !== undefined) return same;
    const home = payload.organizationId ?? organization.id;
    return candidates.find(({ name, organizationId }) => name === catalog.name && organizationId === home);
  }
}

/** What a template's restore has to know besides: its VMs are built in a VDC of the catalog's organization. */
export async function examineForTemplate(
  payload: RestorePayload,
  captured: VappCapture,
  vcd: Pick<VcdClientApi, 'resources' | 'findInCatalog' | 'isSubscribedCatalog'>,
  signal: AbortSignal,
): Promise<{ catalogs: TodaysCatalogs; where: { organizationId?: string }; replaces: (templateHref: string) => boolean }> {
  const { organization, name } = captured;
  const { catalogs, organizationId } = await examineCatalogs(
    payload,
    { catalog: captured.catalogEntry?.catalog, organization, name },
    vcd,
    signal,
  );
  // Not where it is as captured: a VDC that is gone is then for a person to replace, not for us.
  const matters = payload.vdcId !== undefined || organizationId !== organization.id;
  const { namesake } = catalogs;
  return {
    catalogs,
    where: matters && organizationId !== undefined ? { organizationId } : {},
    replaces: (href) => payload.choices.existingItem === 'replace' && namesake !== undefined && sameEntity(namesake.entityHref, href),
  };
}
