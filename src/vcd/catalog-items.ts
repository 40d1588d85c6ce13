import { element, parseXml, type XmlElement } from '../common/index.js';
import { isGone, readTemplate, sendChange, type VcdContext } from './context.js';
import { deleteEntity, deleteHalfMade, finishCreation, sendOnce } from './creation.js';
import { describe, writable } from './edit-entity.js';
import { putSection, readSection, withoutChildren, writeProductSections } from './edit-vapp.js';
import { badAnswer, VcdError } from './error.js';
import { linkHref, under, userView } from './links.js';
import { writeMetadata } from './metadata.js';
import { MEDIA, OVF, VCLOUD } from './namespaces.js';
import { taskOf } from './tasks.js';
import type { CatalogEntry, NewTemplate, VappCapture } from './types.js';

/** What stands in catalogs: items, and the vApp templates they lead to. */

export interface FoundItem {
  itemHref: string;
  entityHref: string;
  kind: 'vapp-template' | 'media';
}

/** By exact name, which is unique in a catalog whatever it is of. */
export async function findInCatalog(
  context: VcdContext,
  catalogHref: string,
  name: string,
  signal?: AbortSignal,
): Promise<FoundItem | undefined> {
  const subject = context.names.label(catalogHref);
  const catalog = (await context.http.get(catalogHref, `Reading ${subject}`, signal, subject)).root();
  context.names.remember(catalogHref, catalog.attribute('name') ?? '');
  const items = catalog.child('CatalogItems')?.childrenNamed('CatalogItem') ?? [];
  const itemHref = items.find((item) => item.attribute('name') === name)?.attribute('href');
  if (itemHref === undefined) return undefined;
  return foundItem(itemHref, await readItem(context, itemHref, name, signal));
}

async function readItem(context: VcdContext, itemHref: string, name: string, signal?: AbortSignal): Promise<XmlElement> {
  context.names.remember(itemHref, name);
  const subject = context.names.label(itemHref);
  const operation = `Reading ${subject}`;
  const item = (await context.http.get(itemHref, operation, signal, subject)).root();
  if (item.local !== 'CatalogItem') throw badAnswer(operation, `the answer is a ${item.local}, not a CatalogItem`);
  return item;
}

/** Told by the admin view alone (AdminCatalogType); a login that does not see it finds out by VCD's refusal. */
export async function isSubscribedCatalog(context: VcdContext, catalogHref: string, signal?: AbortSignal): Promise<boolean> {
  const subject = context.names.label(catalogHref);
  const href = userView(catalogHref).replace('/api/catalog/', '/api/admin/catalog/');
  try {
    const catalog = (await context.http.get(href, `Reading ${subject}`, signal, subject)).root();
    return catalog.child('ExternalCatalogSubscriptionParams')?.textAt('SubscribeToExternalFeeds') === 'true';
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}

/** @throws VcdError BAD_ANSWER for an item that leads nowhere */
export function foundItem(itemHref: string, item: XmlElement): FoundItem {
  const entityHref = item.child('Entity')?.attribute('href');
  const operation = `Reading catalog item "${item.attribute('name') ?? ''}"`;
  if (entityHref === undefined) throw badAnswer(operation, 'it leads to nothing');
  return { itemHref, entityHref, kind: /\/media\//.test(entityHref) ? 'media' : 'vapp-template' };
}

/** @throws VcdError DUPLICATE_NAME: only a name that was free before makes an item found after a lost answer ours */
export async function requireFreeName(
  context: VcdContext,
  catalogHref: string,
  name: string,
  operation: string,
  signal?: AbortSignal,
): Promise<void> {
  if ((await findInCatalog(context, catalogHref, name, signal)) === undefined) return;
  throw new VcdError(`${operation} failed: the catalog already has an item of that name.`, { code: 'DUPLICATE_NAME', operation });
}

/** catalog/{id}/action/captureVApp: 202, and the task's owner is the new template. Whatever the failure, no half-made one stays behind. */
export async function createTemplate(context: VcdContext, params: NewTemplate, signal?: AbortSignal): Promise<{ templateHref: string }> {
  const subject = `vApp template "${params.name}"`;
  const operation = `Capturing ${context.names.label(params.vappHref)} as ${subject}`;
  await requireFreeName(context, params.catalogHref, params.name, operation, signal);
  const find = async () => {
    const found = await findInCatalog(context, params.catalogHref, params.name, signal);
    return found && { href: found.entityHref, tasks: [] };
  };
  const send = async () => {
    const answer = await context.http.request({
      method: 'POST',
      href: under(userView(params.catalogHref), 'action', 'captureVApp'),
      operation,
      subject,
      body: captureVappBody(params),
      contentType: MEDIA.captureVapp,
      signal,
    });
    const task = taskOf(answer, operation);
    return { href: task.child('Owner')?.attribute('href'), tasks: [task] };
  };
  const sent = await sendOnce(context, send, find, signal);
  // A release whose task does not name the template: the catalog does.
  const href = sent.href ?? (await find())?.href;
  if (href === undefined) throw badAnswer(operation, 'neither the task nor the catalog names the new template');
  context.names.remember(href, params.name);
  try {
    const read = async () => (await readTemplate(context, href, signal)).root;
    await finishCreation(context, { href, tasks: sent.tasks }, read, { operation, subject, signal });
    return { templateHref: href };
  } catch (error) {
    await deleteHalfMade(context, href, readTemplate);
    throw error;
  }
}

/** CaptureVAppParamsType: Description, Source, then sections. */
export function captureVappBody({ name, description, vappHref, customizeOnInstantiate }: NewTemplate): XmlElement {
  return element(
    'CaptureVAppParams',
    VCLOUD,
    { name },
    element('Description', VCLOUD, {}, description ?? ''),
    element('Source', VCLOUD, { href: vappHref, type: MEDIA.vapp }),
    customizeOnInstantiate === undefined ? undefined : customizationSection(customizeOnInstantiate),
  );
}

function customizationSection(customizeOnInstantiate: boolean): XmlElement {
  return element(
    'CustomizationSection',
    VCLOUD,
    {},
    element('Info', OVF, {}, 'VApp template customization section'),
    element('CustomizeOnInstantiate', VCLOUD, {}, String(customizeOnInstantiate)),
  );
}

/**
 * Name, description, gold master, lease, customization, metadata of the template, its item and its VMs (by name), and
 * product sections. The owner is written by writeOwner.
 */
export async function writeTemplate(context: VcdContext, templateHref: string, captured: VappCapture, signal?: AbortSignal): Promise<void> {
  const { root } = await readTemplate(context, templateHref, signal);
  await writeTemplateItself(context, templateHref, root, captured, signal);
  await writeTemplateLease(context, templateHref, captured.lease.storageSeconds, signal);
  await writeCustomization(context, templateHref, captured, signal);
  await writeProductSections(context, templateHref, captured.sections, signal);
  await writeMetadata(context, templateHref, captured.metadata, signal);
  const vms = root.child('Children')?.childrenNamed('Vm') ?? [];
  for (const vm of captured.vms) {
    const href = vms.find((candidate) => candidate.attribute('name') === vm.name)?.attribute('href');
    if (href !== undefined) await writeMetadata(context, href, vm.metadata, signal);
  }
  await writeCatalogEntry(context, root, captured.catalogEntry, captured.name, signal);
}

/** PUT takes these alone; all else of a template has a resource of its own. */
async function writeTemplateItself(
  context: VcdContext,
  templateHref: string,
  root: XmlElement,
  captured: VappCapture,
  signal?: AbortSignal,
): Promise<void> {
  const { name, description = '', goldMaster = false } = captured;
  const isGold = root.attribute('goldMaster') === 'true';
  if (root.attribute('name') === name && (root.textAt('Description') ?? '') === description && isGold === goldMaster) return;
  await sendChange(context, {
    method: 'PUT',
    href: linkHref(root, 'edit', MEDIA.vappTemplate) ?? templateHref,
    doing: 'Writing name and description of',
    entityHref: templateHref,
    body: element('VAppTemplate', VCLOUD, { goldMaster, name }, element('Description', VCLOUD, {}, description)),
    contentType: MEDIA.vappTemplate,
    signal,
  });
  context.names.remember(templateHref, name);
}

/** A template is never deployed: its lease is of storage alone. */
async function writeTemplateLease(context: VcdContext, templateHref: string, storageSeconds: number, signal?: AbortSignal): Promise<void> {
  const section = await readSection(context, templateHref, 'LeaseSettingsSection', 'leaseSettingsSection', signal);
  if (section.textAt('StorageLeaseInSeconds') === String(storageSeconds)) return;
  const body = withoutChildren(section, 'Link', 'StorageLeaseInSeconds', 'StorageLeaseExpiration');
  body.append(element('StorageLeaseInSeconds', VCLOUD, {}, String(storageSeconds)));
  await putSection(context, templateHref, 'leaseSettingsSection', 'the lease', body, MEDIA.leaseSettings, signal);
}

/** Whether VMs are customized when the template is instantiated, or come out as they are. */
async function writeCustomization(context: VcdContext, templateHref: string, captured: VappCapture, signal?: AbortSignal): Promise<void> {
  const text = captured.sections.CustomizationSection;
  const wanted = text === undefined ? undefined : parseXml(text).textAt('CustomizeOnInstantiate');
  if (wanted === undefined) return;
  const section = await readSection(context, templateHref, 'CustomizationSection', 'customizationSection', signal);
  if (section.textAt('CustomizeOnInstantiate') === wanted) return;
  const body = withoutChildren(section, 'Link');
  const present = body.child('CustomizeOnInstantiate');
  if (present) present.setText(wanted);
  else body.append(element('CustomizeOnInstantiate', VCLOUD, {}, wanted));
  await putSection(context, templateHref, 'customizationSection', 'the customization', body, MEDIA.customization, signal);
}

/** Description and metadata of the item; its name VCD keeps equal to its entity's. Nothing where the entity stands in no catalog. */
export async function writeCatalogEntry(
  context: VcdContext,
  entity: XmlElement,
  captured: CatalogEntry | undefined,
  name: string,
  signal?: AbortSignal,
): Promise<void> {
  const itemHref = linkHref(entity, 'catalogItem', MEDIA.catalogItem);
  if (itemHref === undefined || captured === undefined) return;
  const item = await readItem(context, itemHref, name, signal);
  const description = captured.description ?? '';
  if (item.attribute('name') !== name || (item.textAt('Description') ?? '') !== description) {
    await sendChange(context, {
      method: 'PUT',
      href: linkHref(item, 'edit', MEDIA.catalogItem) ?? itemHref,
      doing: 'Writing the description of',
      entityHref: itemHref,
      body: describe(writable(item), description).setAttribute('name', name),
      contentType: MEDIA.catalogItem,
      signal,
    });
  }
  await writeMetadata(context, itemHref, captured.metadata, signal);
}

/** Its catalog item goes with it. Absent is success. */
export function deleteTemplate(context: VcdContext, templateHref: string, signal?: AbortSignal): Promise<void> {
  return deleteEntity(context, templateHref, readTemplate, signal);
}
