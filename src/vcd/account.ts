import type { VcdContext } from './context.js';
import { readVimServers } from './inventory.js';
import { linkHref } from './links.js';

/** Who is logged in, and what VCD lets them do with its vCenters. */
export interface VcdAccountFacts {
  userName: string;
  organization: string;
  /** Names of roles; empty where VCD does not tell. */
  roles: string[];
  /** Sees the provider's part of the API (admin/extension), where vCenters and imports are. */
  isProvider: boolean;
  vcenters: {
    name: string;
    isEnabled: boolean;
    isConnected: boolean;
    /** VCD offers the imports of VMs of this vCenter. */
    mayImport: boolean;
  }[];
}

const IMPORTS = ['importVmAsVApp', 'importVmIntoExistingVApp'] as const;

export async function account(context: VcdContext, signal?: AbortSignal): Promise<VcdAccountFacts> {
  const session = (await context.http.get('/api/session', 'Reading the session', signal)).root();
  const links = session.childrenNamed('Link').map((link) => link.attribute('href') ?? '');
  const isProvider = context.http.session.isProvider && links.some((href) => /\/admin\/extension\/?$/.test(href));
  const facts = {
    userName: session.attribute('user') ?? '',
    organization: session.attribute('org') ?? '',
    roles: (session.attribute('roles') ?? '')
      .split(',')
      .map((role) => role.trim())
      .filter((role) => role !== ''),
    isProvider,
  };
  return { ...facts, vcenters: isProvider ? await vcentersOf(context, signal) : [] };
}

async function vcentersOf(context: VcdContext, signal?: AbortSignal): Promise<VcdAccountFacts['vcenters']> {
  return (await readVimServers(context, signal)).map(({ name, server }) => ({
    name,
    isEnabled: server.textAt('IsEnabled') !== 'false',
    isConnected: server.textAt('IsConnected') !== 'false',
    mayImport: IMPORTS.every((rel) => linkHref(server, rel) !== undefined),
  }));
}
