import { vim, type MoRef, type VimObject } from '../model/vim.js';
import { SimFault } from '../model/vsphere-types.js';
import { argument, value, type Call, type Handler } from './call.js';
import { PRIVILEGE_IDS } from './accounts.js';
import { entitiesOf } from './method-privileges.js';
import { valuesFor } from './session-operations.js';

/** AuthorizationManager: what an account may do, asked by session or by name. */
export const authorizationOperations: Record<string, Handler> = {
  HasPrivilegeOnEntities: (call) => {
    const session = call.core.sessions.byKey(argument(call, 'sessionId') ?? '');
    if (session === undefined) throw new SimFault('InvalidArgument', 'There is no such session.', { invalidProperty: 'sessionId' });
    return value(availabilities(call, 'entity', session.userName));
  },
  HasUserPrivilegeOnEntities: (call) => value(availabilities(call, 'entities', argument(call, 'userName') ?? '')),
  FetchUserPrivilegeOnEntities: (call) =>
    value(
      existing(call, 'entities').map((entity) =>
        vim('UserPrivilegeResult', { entity, privileges: [...call.core.sessions.accounts.on(argument(call, 'userName') ?? '', entity)] }),
      ),
    ),
};

function availabilities(call: Call, entities: string, userName: string): VimObject[] {
  const privileges = (call.args.privId as string[] | undefined) ?? [];
  for (const id of privileges) {
    if (!PRIVILEGE_IDS.includes(id)) throw new SimFault('InvalidArgument', `There is no privilege ${id}.`, { invalidProperty: 'privId' });
  }
  return existing(call, entities).map((entity) => {
    const granted = call.core.sessions.accounts.on(userName, entity);
    const privAvailability = privileges.map((privId) => vim('PrivilegeAvailability', { privId, isGranted: granted.has(privId) }));
    return vim('EntityPrivilege', { entity, privAvailability });
  });
}

function existing(call: Call, name: string): MoRef[] {
  const values = valuesFor(call);
  const entities = entitiesOf(call, name);
  for (const entity of entities) values.assertExists(entity);
  return entities;
}
