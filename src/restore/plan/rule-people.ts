import type { AccessControl, AccessGrant, VappCapture, VcdReference } from '../../vcd/index.js';
import type { PlanItem } from '../plan-types.js';
import type { RestoreRequest } from '../restore-request.js';
import { RestoreError } from '../errors.js';
import { planItem } from './choose.js';

type Users = ReadonlyMap<string, VcdReference>;

/** The chosen owner, the captured one, or nobody: then the vApp stays with the administrator who restores. */
export function ruleOwner(
  captured: VcdReference,
  users: Users,
  organizationName: string,
  chosen: RestoreRequest['choices']['owner'],
): { owner: VcdReference | undefined; items: PlanItem[] } {
  const options = [...users.values()].flatMap((user) => (user.name === undefined ? [] : [{ value: user.name, label: user.name }]));
  const name = chosen ?? captured.name;
  const owner = name === undefined ? undefined : users.get(name.toLowerCase());
  const choice = { field: 'owner', chosen: owner?.name ?? null, options };
  if (owner === undefined && chosen !== undefined) {
    throw new RestoreError('CHOICE_INVALID', `choices.owner is "${chosen}", which is not a user of organization "${organizationName}".`, {
      field: 'owner',
      value: chosen,
    });
  }
  const values = { captured: captured.name, planned: owner?.name };
  if (owner === undefined) {
    const sentence = `Owner "${captured.name ?? captured.href}" is not a user of organization "${organizationName}" any more; it stays with the administrator.`;
    return { owner, items: [planItem('owner', 'missing', values, sentence, { choice })] };
  }
  if (owner.name?.toLowerCase() === captured.name?.toLowerCase())
    return { owner, items: [planItem('owner', 'fits', values, '', { choice })] };
  const sentence = `The request makes "${owner.name}" the owner instead of "${captured.name ?? captured.href}".`;
  return { owner, items: [planItem('owner', 'changed', values, sentence, { choice })] };
}

/** Is the grant to a user, a group or a whole organization? VCD names the subject's type; without one it is a user. */
export function grantKind(grant: AccessGrant): 'user' | 'group' | 'organization' {
  const type = grant.subject.type ?? '';
  if (/group\+(xml|json)$/i.test(type) || /\/group\//i.test(grant.subject.href)) return 'group';
  if (/\.org\+(xml|json)$|organization\+(xml|json)$/i.test(type) || /\/org\//i.test(grant.subject.href)) return 'organization';
  return 'user';
}

/** Users are found again by name: one that was deleted and made anew has another id. Groups and organizations keep theirs. */
export function ruleAccess(
  captured: AccessControl,
  users: Users,
  target: { organizationName: string; sameOrganization: boolean },
): { access: AccessControl; items: PlanItem[] } {
  const grants: AccessGrant[] = [];
  const items: PlanItem[] = [];
  for (const grant of captured.grants) {
    const kind = grantKind(grant);
    const name = grant.subject.name ?? grant.subject.href;
    const today =
      kind === 'user' ? users.get(name.toLowerCase()) : kind === 'group' && !target.sameOrganization ? undefined : grant.subject;
    if (today !== undefined) {
      grants.push({ ...grant, subject: { ...grant.subject, ...today } });
      continue;
    }
    const sentence = `${kind === 'user' ? 'User' : 'Group'} "${name}", who had ${grant.accessLevel} access, is not in organization "${target.organizationName}"; the right is left out.`;
    items.push(planItem(`access.grants.${name}`, 'missing', { captured: grant.accessLevel, planned: undefined }, sentence));
  }
  return { access: { ...captured, grants }, items };
}

/** Every user a restore point names. */
export function namedUsers(captured: VappCapture, choices: RestoreRequest['choices']): string[] {
  const granted = captured.access.grants.filter((grant) => grantKind(grant) === 'user').map((grant) => grant.subject.name);
  const diskOwners = (captured.namedDisks ?? []).map((disk) => disk.owner?.name);
  const names = [choices.owner, captured.owner.name, ...granted, ...diskOwners].filter((name) => name !== undefined);
  return [...new Set(names)];
}
