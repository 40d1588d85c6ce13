import { type Exchange, readBody } from '../exchange.js';
import { badRequest, VcdFault } from '../faults.js';
import { idFromHref } from '../hrefs.js';
import type { Access } from '../state.js';
import { MEDIA } from '../xml-names.js';

/**
 * A ControlAccessParams body for a vApp or a catalog.
 * @throws VcdFault 400 INVALID_REFERENCE for a subject of another organization.
 */
export function readAccess(exchange: Exchange, entity: { name: string; organizationId: string }): Access {
  const body = readBody(exchange, { element: 'ControlAccessParams', media: MEDIA.controlAccess });
  const settings = body.child('AccessSettings')?.childrenNamed('AccessSetting') ?? [];
  const grants = settings.map((setting): Access['grants'][number] => {
    const href = setting.child('Subject')?.attribute('href', '') ?? '';
    const subjectKind = /\/org\//.test(href) ? 'org' : 'user';
    const subjectId = idFromHref(href, subjectKind === 'org' ? 'org/' : 'admin/user/');
    const known =
      subjectKind === 'org'
        ? exchange.cloud.organization(subjectId)?.id === entity.organizationId
        : exchange.cloud.user(subjectId)?.organizationId === entity.organizationId;
    if (!known)
      throw new VcdFault(
        400,
        'INVALID_REFERENCE',
        `The access subject ${subjectId} does not exist in the organization of "${entity.name}".`,
      );
    return { subjectKind, subjectId, accessLevel: setting.textAt('AccessLevel') ?? 'ReadOnly' };
  });
  const sharedToEveryone = /^(true|1)$/.test(body.textAt('IsSharedToEveryone') ?? '');
  const level = body.textAt('EveryoneAccessLevel');
  if (sharedToEveryone && level === undefined) throw badRequest('EveryoneAccessLevel is required when IsSharedToEveryone is true.');
  return { sharedToEveryone, ...(sharedToEveryone && level ? { everyoneAccessLevel: level } : {}), grants };
}
