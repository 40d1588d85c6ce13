import type { XmlElement } from '../common/index.js';
import { resourcePoolOf } from './capture-place.js';
import { vdcPolicies } from './compute-policies.js';
import type { VcdContext } from './context.js';
import { badAnswer, VcdError } from './error.js';
import { linkHref, referenceOf, urnOf, userView, uuidOf } from './links.js';
import { MEDIA } from './namespaces.js';
import { whole } from './sections.js';
import type { VcdReference, VdcResources } from './types.js';

/** What a restore has to find in the cloud of today: the VDC's resources, and people by name. */

/** @throws VcdError VIM_INFO_MISSING when the view shows no resource pool (not a system administrator's). */
export async function vdcResources(context: VcdContext, vdcHref: string, signal?: AbortSignal): Promise<VdcResources> {
  const uuid = uuidOf(vdcHref);
  const subject = context.names.label(vdcHref);
  const operation = `Reading ${subject}`;
  const vdc = (await context.http.get(uuid === undefined ? vdcHref : `/api/admin/vdc/${uuid}`, operation, signal, subject)).root();
  const name = vdc.attribute('name') ?? '';
  context.names.remember(vdcHref, name);
  const pool = resourcePoolOf(vdc);
  const vimServerHref = pool?.child('VimServerRef')?.attribute('href');
  const resourcePoolMoRef = pool?.textAt('MoRef');
  if (vimServerHref === undefined || !resourcePoolMoRef) {
    throw new VcdError(`VDC "${name}" shows no vSphere resource pool; log in as a system administrator.`, {
      code: 'VIM_INFO_MISSING',
      subject,
    });
  }
  const id = urnOf('vdc', vdcHref);
  const [{ organization, leaseLimits }, profiles, policies] = await Promise.all([
    organizationOf(context, vdc, operation, signal),
    storageProfiles(context, vdc, name, signal),
    vdcPolicies(context, vdc, id, signal),
  ]);
  return {
    href: vdcHref,
    id,
    name,
    organization,
    vimServerHref,
    resourcePoolMoRef,
    storageProfiles: profiles,
    networks: references(vdc.child('AvailableNetworks'), 'Network'),
    ...policies,
    ...(leaseLimits ? { leaseLimits } : {}),
  };
}

/** The organization and, from its settings, the longest leases of its vApps. */
async function organizationOf(
  context: VcdContext,
  vdc: XmlElement,
  operation: string,
  signal?: AbortSignal,
): Promise<Pick<VdcResources, 'organization' | 'leaseLimits'>> {
  const href = linkHref(vdc, 'up', MEDIA.adminOrg) ?? linkHref(vdc, 'up', MEDIA.org);
  if (href === undefined) throw badAnswer(operation, 'the VDC has no link to its organization');
  const root = (await context.http.get(href, 'Reading the organization of the VDC', signal)).root();
  const lease = root.find('Settings', 'VAppLeaseSettings') ?? (await leaseSettings(context, href, signal));
  const organization = { href, id: urnOf('org', href), name: root.attribute('name') ?? '' };
  if (lease === undefined) return { organization };
  const maxDeploymentSeconds = whole(lease.textAt('DeploymentLeaseSeconds')) ?? 0;
  const maxStorageSeconds = whole(lease.textAt('StorageLeaseSeconds')) ?? 0;
  const maxTemplateStorageSeconds = whole(root.find('Settings', 'VAppTemplateLeaseSettings')?.textAt('StorageLeaseSeconds'));
  const ofTemplates = maxTemplateStorageSeconds === undefined ? {} : { maxTemplateStorageSeconds };
  return { organization, leaseLimits: { maxDeploymentSeconds, maxStorageSeconds, ...ofTemplates } };
}

/** The resource of their own that the settings have in every version; the organization shows them inside in some. */
async function leaseSettings(context: VcdContext, orgHref: string, signal?: AbortSignal): Promise<XmlElement | undefined> {
  const href = `/api/admin/org/${uuidOf(orgHref)}/settings/vAppLeaseSettings`;
  try {
    return (await context.http.get(href, "Reading the lease settings of the VDC's organization", signal)).root();
  } catch (error) {
    // Without them a lease is asked for as it was; VCD then decides.
    if (error instanceof VcdError && error.saysGone) return undefined;
    throw error;
  }
}

/** A profile's own entity says whether it is enabled and the VDC's default; the VDC only names it. */
async function storageProfiles(
  context: VcdContext,
  vdc: XmlElement,
  vdcName: string,
  signal?: AbortSignal,
): Promise<VdcResources['storageProfiles']> {
  const named = references(vdc.child('VdcStorageProfiles'), 'VdcStorageProfile').map((reference) => ({
    ...reference,
    // The form VMs and import parameters name it by.
    href: userView(reference.href),
  }));
  return Promise.all(
    named.map(async (reference) => {
      const operation = `Reading storage profile "${reference.name ?? ''}" of VDC "${vdcName}"`;
      const profile = (await context.http.get(reference.href, operation, signal)).root();
      return {
        ...reference,
        name: profile.attribute('name') ?? reference.name ?? '',
        isDefault: profile.textAt('Default') === 'true',
        enabled: profile.textAt('Enabled') !== 'false',
      };
    }),
  );
}

/** Undefined when the organization has no such user. Login names are compared as VCD does: without case. */
export async function findUser(
  context: VcdContext,
  organization: VcdReference,
  name: string,
  signal?: AbortSignal,
): Promise<VcdReference | undefined> {
  const uuid = uuidOf(organization.id ?? organization.href) ?? uuidOf(organization.href);
  const operation = `Looking for user "${name}" of organization "${organization.name ?? uuid ?? ''}"`;
  if (uuid === undefined) throw badAnswer(operation, 'the organization reference carries no id');
  const org = (await context.http.get(`/api/admin/org/${uuid}`, operation, signal)).root();
  const users = references(org.child('Users'), 'UserReference');
  return users.find((user) => user.name === name) ?? users.find((user) => user.name?.toLowerCase() === name.toLowerCase());
}

function references(container: XmlElement | undefined, local: string): VcdReference[] {
  return (container?.childrenNamed(local) ?? []).flatMap((element) => referenceOf(element) ?? []);
}
