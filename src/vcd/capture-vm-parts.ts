import type { XmlElement } from '../common/index.js';
import { captureVm, inlineProductSections } from './capture-vm.js';
import type { EntityReader } from './entity-reader.js';
import { linkHref } from './links.js';
import { MEDIA } from './namespaces.js';
import type { VmCapture } from './types.js';

/** A VM of a vApp or template, with what has a resource of its own: one request, or two. */
export async function readVmParts(reader: EntityReader, vm: XmlElement): Promise<VmCapture> {
  const [metadata, products] = await Promise.all([
    reader.metadata(vm, vm.attribute('href') ?? '', `the metadata of VM "${vm.attribute('name') ?? ''}"`),
    readProductSections(reader, vm),
  ]);
  return captureVm(vm, metadata, products);
}

/** Inside the entity where VCD shows them there, else by their link, else there are none. */
export async function readProductSections(reader: EntityReader, entity: XmlElement): Promise<XmlElement | undefined> {
  const inline = inlineProductSections(entity);
  if (inline !== undefined) return inline;
  const href = linkHref(entity, 'down', MEDIA.productSections);
  return href === undefined ? undefined : reader.read(href, 'the product sections');
}
