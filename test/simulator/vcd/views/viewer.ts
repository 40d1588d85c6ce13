import { type XmlElement } from '../../../../src/common/index.js';
import type { Exchange } from '../exchange.js';
import type { Organization, User } from '../state.js';
import { build, MEDIA, reference } from '../xml-names.js';

/** Who looks, from where and in which API version: what a view needs to know. */
export type Viewer = Pick<Exchange, 'cloud' | 'hrefs' | 'session' | 'apiVersion'>;

export function userReference(viewer: Viewer, element: string, user: User | undefined): XmlElement | undefined {
  if (!user) return undefined;
  return reference(element, { href: viewer.hrefs.user(user.id), id: `urn:vcloud:user:${user.id}`, name: user.name, media: MEDIA.user });
}

export function organizationReference(viewer: Viewer, element: string, organization: Organization): XmlElement {
  return reference(element, {
    href: viewer.hrefs.org(organization.id),
    id: `urn:vcloud:org:${organization.id}`,
    name: organization.name,
    media: MEDIA.org,
  });
}

export function storageProfileReference(viewer: Viewer, element: string, id: string): XmlElement | undefined {
  const profile = viewer.cloud.storageProfile(id);
  if (!profile) return undefined;
  // A VM names its profile by the tenant path in both views (captured Vm).
  const href = viewer.hrefs.api(`vdcStorageProfile/${id}`);
  return reference(element, { href, id: `urn:vcloud:vdcstorageProfile:${id}`, name: profile.name, media: MEDIA.vdcStorageProfile });
}

export function vimServerReference(viewer: Viewer, element: string): XmlElement {
  const { vimServer } = viewer.cloud.state;
  return reference(element, {
    href: viewer.hrefs.vimServer(vimServer.id),
    id: `urn:vcloud:vimserver:${vimServer.id}`,
    name: vimServer.name,
    media: MEDIA.vimServer,
  });
}

export type VimObjectType = 'VIRTUAL_MACHINE' | 'DATASTORE' | 'HOST' | 'RESOURCE_POOL' | 'DV_PORTGROUP' | 'NETWORK';

/** A VimObjectRefType: the bridge from VCD to a managed object of vCenter. */
export function vimObjectReference(viewer: Viewer, element: string, moRef: string, type: VimObjectType, name?: string): XmlElement {
  return build(
    element,
    { name },
    vimServerReference(viewer, 'vmext:VimServerRef'),
    build('vmext:MoRef', {}, moRef),
    build('vmext:VimObjectType', {}, type),
  );
}
