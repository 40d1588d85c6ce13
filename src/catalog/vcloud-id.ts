/** "urn:vcloud:vapp:<uuid>" -> "<uuid>" */
function uuidIn(vcloudId: string): string {
  return vcloudId.slice(vcloudId.lastIndexOf(':') + 1);
}

/**
 * The address of an entity that was restored under a new id: VCD's hrefs end in the UUID of the
 * URN. '' (not known until the next inventory) where the old one does not.
 */
export function hrefFor(vcloudId: string, former: { vcloudId: string; href: string }): string {
  const end = uuidIn(former.vcloudId);
  return end !== '' && former.href.endsWith(end) ? former.href.slice(0, -end.length) + uuidIn(vcloudId) : '';
}
