import type { XmlElement } from '../common/index.js';
import type { VcdReference } from './types.js';

/**
 * Compares media types the way VCD writes them: `vnd.vmware.vcloud.vApp+xml` in bodies, lower case
 * and with `;version=37.0` in headers.
 */
export function sameMediaType(one: string | undefined, other: string): boolean {
  return bareMediaType(one) === bareMediaType(other);
}

function bareMediaType(value: string | undefined): string {
  return (value ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/**
 * The href of the link with that rel and, where given, that type. From 10.x every typed link comes
 * twice, once +xml and once +json, so a type asked for must match; without one, a +json twin is
 * passed over.
 */
export function linkHref(entity: XmlElement, rel: string, mediaType?: string): string | undefined {
  const link = entity.childrenNamed('Link').find((candidate) => {
    if (candidate.attribute('rel') !== rel) return false;
    const type = candidate.attribute('type');
    if (mediaType !== undefined) return sameMediaType(type, mediaType);
    return !bareMediaType(type).endsWith('+json');
  });
  return link?.attribute('href');
}

/** A reference element (Vdc, User, StorageProfile, ParentNetwork …), or undefined when it points nowhere. */
export function referenceOf(element: XmlElement | undefined): VcdReference | undefined {
  const href = element?.attribute('href');
  if (element === undefined || href === undefined || href === '') return undefined;
  const reference: VcdReference = { href };
  const id = element.attribute('id');
  const name = element.attribute('name');
  const type = element.attribute('type');
  if (id !== undefined) reference.id = id;
  if (name !== undefined) reference.name = name;
  if (type !== undefined) reference.type = type;
  return reference;
}

const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/gi;

/** The last UUID in an href: user and admin views of one object differ in the path only. */
export function uuidOf(href: string): string | undefined {
  return href.match(UUID)?.at(-1)?.toLowerCase();
}

export type EntityKind =
  | 'org'
  | 'vdc'
  | 'vapp'
  | 'vm'
  | 'vapptemplate'
  | 'media'
  | 'disk'
  | 'catalog'
  | 'catalogitem'
  | 'network'
  | 'providervdc'
  | 'datastore'
  | 'vdcstorageProfile'
  | 'vimserver'
  | 'user';

/** `urn:vcloud:vapp:…` made from an href, as query records carry hrefs and no ids. */
export function urnOf(kind: EntityKind, href: string): string {
  const uuid = uuidOf(href);
  return uuid === undefined ? href : `urn:vcloud:${kind}:${uuid}`;
}

/** True when both hrefs name the same object, whatever host or view they were read from. */
export function sameEntity(one: string, other: string): boolean {
  const uuid = uuidOf(one);
  return uuid === undefined ? one === other : uuid === uuidOf(other);
}

/** The same object's address in its organization's view, where what is done to VDCs and catalogs is linked. */
export function userView(href: string): string {
  return href.replace('/api/admin/', '/api/');
}

/** `https://host/api/vApp/vapp-1/` + `metadata`, with exactly one slash between. */
export function under(href: string, ...path: string[]): string {
  return [href.replace(/\/+$/, ''), ...path].join('/');
}
