import { element, type XmlElement } from '../common/index.js';
import { VCLOUD } from './namespaces.js';

/** The entity as it was read, fit to be written back: without what VCD alone writes, with all we do not know. */
export function writable(entity: XmlElement): XmlElement {
  const copy = entity.clone();
  copy.children = copy.elements().filter((part) => !READ_ONLY.has(part.local));
  return copy;
}

const READ_ONLY = new Set(['Link', 'Tasks', 'Files']);

/** Sets the Description of a ResourceEntity, which stands behind extensions and links and before all else. */
export function describe(entity: XmlElement, description: string): XmlElement {
  const present = entity.child('Description');
  if (present) {
    present.setText(description);
    return entity;
  }
  const behind = (part: XmlElement) => part.local === 'VCloudExtension' || part.local === 'Link';
  const parts = entity.elements();
  entity.children = [...parts.filter(behind), element('Description', VCLOUD, {}, description), ...parts.filter((part) => !behind(part))];
  return entity;
}
