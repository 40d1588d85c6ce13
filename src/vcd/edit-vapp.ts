import { element, parseXml, type XmlElement } from '../common/index.js';
import { PRODUCT_SECTION_LIST } from './capture-vm.js';
import { readVapp, sendChange, type VcdContext } from './context.js';
import { linkHref, under } from './links.js';
import { MEDIA, OVF, VCLOUD } from './namespaces.js';
import type { AccessControl, StartupItem } from './types.js';

/** Edits of the vApp itself. Each reads what is there, changes what it must, and answers when VCD's task is done. */

export async function writeVapp(
  context: VcdContext,
  vappHref: string,
  change: { name?: string; description?: string },
  signal?: AbortSignal,
): Promise<void> {
  const { root } = await readVapp(context, vappHref, signal);
  const name = change.name ?? root.attribute('name') ?? '';
  const description = change.description ?? root.textAt('Description') ?? '';
  if (name === root.attribute('name') && description === (root.textAt('Description') ?? '')) return;
  await sendChange(context, {
    method: 'PUT',
    href: linkHref(root, 'edit', MEDIA.vapp) ?? vappHref,
    doing: 'Writing name and description of',
    entityHref: vappHref,
    body: element('VApp', VCLOUD, { name }, element('Description', VCLOUD, {}, description)),
    contentType: MEDIA.vapp,
    signal,
  });
  context.names.remember(vappHref, name);
}

/** Both values go out: VCD takes a missing one for the organization's default. */
export async function writeLease(
  context: VcdContext,
  vappHref: string,
  lease: { deploymentSeconds: number; storageSeconds: number },
  signal?: AbortSignal,
): Promise<void> {
  const section = await readSection(context, vappHref, 'LeaseSettingsSection', 'leaseSettingsSection', signal);
  const kept = withoutChildren(section, 'Link', ...LEASE_FIELDS);
  kept.append(
    element('DeploymentLeaseInSeconds', VCLOUD, {}, String(lease.deploymentSeconds)),
    element('StorageLeaseInSeconds', VCLOUD, {}, String(lease.storageSeconds)),
  );
  await putSection(context, vappHref, 'leaseSettingsSection', 'the lease', kept, MEDIA.leaseSettings, signal);
}

/** The expiration dates follow from the seconds and cannot be written. */
const LEASE_FIELDS = ['DeploymentLeaseInSeconds', 'StorageLeaseInSeconds', 'DeploymentLeaseExpiration', 'StorageLeaseExpiration'];

export async function writeStartup(
  context: VcdContext,
  vappHref: string,
  items: readonly StartupItem[],
  signal?: AbortSignal,
): Promise<void> {
  const section = await readSection(context, vappHref, 'StartupSection', 'startupSection', signal, OVF);
  const kept = withoutChildren(section, 'Link', 'Item');
  kept.append(...items.map(startupItem));
  await putSection(context, vappHref, 'startupSection', 'the start order', kept, MEDIA.startup, signal);
}

/** Attributes of ovf:Item are in the ovf namespace themselves. */
function startupItem(item: StartupItem): XmlElement {
  const row = element('Item', OVF)
    .setAttribute('id', item.vmName, OVF)
    .setAttribute('order', String(item.order), OVF)
    .setAttribute('startAction', item.startAction, OVF)
    .setAttribute('startDelay', String(item.startDelaySeconds), OVF)
    .setAttribute('stopAction', item.stopAction, OVF)
    .setAttribute('stopDelay', String(item.stopDelaySeconds), OVF);
  return item.waitingForGuest === undefined ? row : row.setAttribute('waitingForGuest', String(item.waitingForGuest), OVF);
}

/** Of a vApp, template, medium or named disk. 204: no task. */
export async function writeOwner(context: VcdContext, entityHref: string, ownerHref: string, signal?: AbortSignal): Promise<void> {
  await sendChange(context, {
    method: 'PUT',
    href: under(entityHref, 'owner'),
    doing: 'Writing the owner of',
    entityHref,
    body: element('Owner', VCLOUD, {}, element('User', VCLOUD, { href: ownerHref, type: 'application/vnd.vmware.admin.user+xml' })),
    contentType: MEDIA.owner,
    signal,
  });
}

/** 200 with the rights as they are now: no task. What is not in `access` is taken away. */
export async function writeAccess(context: VcdContext, vappHref: string, access: AccessControl, signal?: AbortSignal): Promise<void> {
  const grants = access.grants.map((grant) =>
    element(
      'AccessSetting',
      VCLOUD,
      {},
      element('Subject', VCLOUD, { href: grant.subject.href, name: grant.subject.name, type: grant.subject.type }),
      element('AccessLevel', VCLOUD, {}, grant.accessLevel),
    ),
  );
  const level = access.sharedToEveryone ? (access.everyoneAccessLevel ?? 'ReadOnly') : undefined;
  await sendChange(context, {
    method: 'POST',
    href: under(vappHref, 'action', 'controlAccess'),
    doing: 'Writing the access rights of',
    entityHref: vappHref,
    body: element(
      'ControlAccessParams',
      VCLOUD,
      {},
      element('IsSharedToEveryone', VCLOUD, {}, String(access.sharedToEveryone)),
      level === undefined ? undefined : element('EveryoneAccessLevel', VCLOUD, {}, level),
      grants.length === 0 ? undefined : element('AccessSettings', VCLOUD, {}, ...grants),
    ),
    contentType: MEDIA.controlAccess,
    idempotent: true,
    signal,
  });
}

/**
 * Product sections, the one vApp-level section without a call of its own here. Others in `sections` are either
 * derived (NetworkSection, SnapshotSection) or written by writeLease, writeStartup and writeNetworkConfig.
 */
export async function writeVappSections(
  context: VcdContext,
  vappHref: string,
  sections: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): Promise<void> {
  await writeProductSections(context, vappHref, sections, signal);
}

export async function writeProductSections(
  context: VcdContext,
  entityHref: string,
  sections: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): Promise<void> {
  const text = sections[PRODUCT_SECTION_LIST];
  if (text === undefined) return;
  const list = parseXml(text);
  const products = list.childrenNamed('ProductSection');
  if (products.length === 0) return;
  const present = await readSection(context, entityHref, PRODUCT_SECTION_LIST, 'productSections', signal);
  const body = withoutChildren(present, 'Link', 'Info', 'ProductSection');
  // An extension comes first (vcloud's VCloudExtensibleType), what a later API adds comes last.
  const extensions = body.childrenNamed('VCloudExtension');
  const later = body.elements().filter((part) => part.local !== 'VCloudExtension');
  body.children = [...extensions, ...products.map((product) => withoutChildren(product, 'Link')), ...later];
  await putSection(context, entityHref, 'productSections', 'the product sections', body, MEDIA.productSections, signal);
}

/** The section's present state, or an empty one where the vApp has none. */
export async function readSection(
  context: VcdContext,
  entityHref: string,
  local: string,
  resource: string,
  signal?: AbortSignal,
  namespace: string = VCLOUD,
): Promise<XmlElement> {
  const subject = context.names.label(entityHref);
  const answer = await context.http.get(under(entityHref, resource, ''), `Reading the ${local} of ${subject}`, signal, subject);
  const root = answer.root();
  return root.local === local ? root : element(local, namespace, {}, element('Info', OVF));
}

export async function putSection(
  context: VcdContext,
  entityHref: string,
  resource: string,
  what: string,
  body: XmlElement,
  contentType: string,
  signal?: AbortSignal,
): Promise<void> {
  const href = under(entityHref, resource, '');
  await sendChange(context, { method: 'PUT', href, doing: `Writing ${what} of`, entityHref, body, contentType, signal });
}

/** A copy without the named children; all others stay, known or not. */
export function withoutChildren(parent: XmlElement, ...locals: string[]): XmlElement {
  const copy = parent.clone();
  copy.children = copy.children.filter((node) => typeof node !== 'string' && !locals.includes(node.local));
  return copy;
}
