import type { Session } from './sessions.js';
import type { Access } from './state.js';

export type Level = 'none' | 'ReadOnly' | 'Change' | 'FullControl';

/** Rights on what has an owner and an organization: an owner and an administrator all, others as the access says. */
export function levelOf(
  session: Session,
  entity: { organizationId: string; ownerUserId: string | undefined },
  access: Access | undefined,
): Level {
  if (session.isProvider) return 'FullControl';
  if (session.organization.id !== entity.organizationId) return 'none';
  if (session.user.role === 'Organization Administrator' || entity.ownerUserId === session.user.id) return 'FullControl';
  if (!access) return 'none';
  const levels = access.grants.filter((grant) => grant.subjectId === session.user.id).map((grant) => grant.accessLevel);
  if (access.sharedToEveryone) levels.push(access.everyoneAccessLevel ?? 'ReadOnly');
  return (['FullControl', 'Change', 'ReadOnly'] as const).find((level) => levels.includes(level)) ?? 'none';
}
