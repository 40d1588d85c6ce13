import type { VcdContext } from './context.js';
import { vmQuery } from './inventory.js';
import { countRecords, queryPage } from './query.js';
import type { VcdClientApi } from './client-api.js';

type CountedKind = Parameters<VcdClientApi['count']>[0];

const TYPES: Readonly<Record<Exclude<CountedKind, 'vms'>, { provider: string; tenant: string }>> = {
  organizations: { provider: 'organization', tenant: 'organization' },
  vdcs: { provider: 'adminOrgVdc', tenant: 'orgVdc' },
  vapps: { provider: 'adminVApp', tenant: 'vApp' },
  vappTemplates: { provider: 'adminVAppTemplate', tenant: 'vAppTemplate' },
  media: { provider: 'adminMedia', tenant: 'media' },
  namedDisks: { provider: 'adminDisk', tenant: 'disk' },
};

/** As many as the listing of that kind would give. */
export async function countKind(context: VcdContext, kind: CountedKind, signal?: AbortSignal): Promise<number> {
  const { isProvider } = context.http.session;
  if (kind === 'organizations' && !isProvider) return 1;
  const operation = `Counting ${kind === 'vappTemplates' ? 'vApp templates' : kind === 'namedDisks' ? 'named disks' : kind}`;
  if (kind === 'vms') return countRecords(context.http, { ...vmQuery(context), operation, signal });
  return countRecords(context.http, { type: TYPES[kind][isProvider ? 'provider' : 'tenant'], operation, signal });
}

/** The Date header of an answer; undefined where something on the way has taken it out. */
export async function serverTime(context: VcdContext, signal?: AbortSignal): Promise<Date | undefined> {
  const type = TYPES.vdcs[context.http.session.isProvider ? 'provider' : 'tenant'];
  return (await queryPage(context.http, { type, operation: 'Reading the clock of vCloud Director', signal }, 1, 1)).answer.date;
}
