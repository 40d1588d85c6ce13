import { type Answer, type Exchange, noContent, ok, readBody } from '../exchange.js';
import { VcdFault } from '../faults.js';
import { idFromHref } from '../hrefs.js';
import { requireDisk } from '../operations/entities.js';
import { attachNamedDisk, createNamedDisk, deleteNamedDisk, detachNamedDisk, updateNamedDisk } from '../operations/named-disks.js';
import { type Route, route } from '../router.js';
import { attachedVmsView, diskView, ownerOf } from '../views/disk-view.js';
import { MEDIA } from '../xml-names.js';

const idOf = (exchange: Exchange): string => exchange.parameters.id ?? '';

/** Named (independent) disks. */
export const diskRoutes: readonly Route[] = [
  route('POST', 'vdc/:id/disk', createNamedDisk),
  route('GET', 'disk/:id', (exchange) => ok(diskView(exchange, requireDisk(exchange, idOf(exchange))), MEDIA.disk)),
  route('PUT', 'disk/:id', updateNamedDisk),
  route('DELETE', 'disk/:id', deleteNamedDisk),
  route('GET', 'disk/:id/attachedVms', (exchange) => ok(attachedVmsView(exchange, requireDisk(exchange, idOf(exchange))), MEDIA.vms)),
  route('GET', 'disk/:id/owner', (exchange) => {
    const disk = requireDisk(exchange, idOf(exchange));
    return ownerAnswer(exchange, disk.name, disk.ownerUserId);
  }),
  route('PUT', 'disk/:id/owner', (exchange) => {
    const disk = requireDisk(exchange, idOf(exchange), 'write');
    disk.ownerUserId = readOwner(exchange, disk);
    exchange.cloud.changed();
    return noContent;
  }),
  route('POST', 'vApp/vm-:id/disk/action/attach', attachNamedDisk),
  route('POST', 'vApp/vm-:id/disk/action/detach', detachNamedDisk),
];

export function ownerAnswer(exchange: Exchange, name: string, ownerUserId: string | undefined): Answer {
  const owner = ownerOf(exchange, ownerUserId);
  if (!owner) throw new VcdFault(500, 'INTERNAL_SERVER_ERROR', `"${name}" has no owner.`);
  return ok(owner, MEDIA.owner);
}

/** @returns the user id of an Owner body. @throws VcdFault 400 INVALID_REFERENCE for a user of elsewhere. */
export function readOwner(exchange: Exchange, entity: { name: string; organizationId: string }): string {
  const body = readBody(exchange, { element: 'Owner', media: MEDIA.owner });
  const id = idFromHref(body.child('User')?.attribute('href', '') ?? '', 'admin/user/');
  const user = exchange.cloud.user(id);
  const system = exchange.cloud.systemOrganization();
  if (!user || (user.organizationId !== entity.organizationId && !(exchange.session.isProvider && user.organizationId === system.id)))
    throw new VcdFault(400, 'INVALID_REFERENCE', `The user ${id} does not exist in the organization of "${entity.name}".`);
  return user.id;
}
