import { inspect } from 'node:util';
import { afterEach, beforeEach, expect } from 'vitest';
import { VcdClient, type VcdConnection, type VcdEndpoint, VcdError } from '../../src/vcd/index.js';
import { errorXml, PASSWORD, ScriptedVcd, TOKEN } from './scripted-vcd.js';

/** A client of a scripted VCD, and the XML of the one vApp, VM and task its answers are about. */
export let vcd: ScriptedVcd;
/** The last one connected in this test; closed after it. */
export let client: VcdClient | undefined;

/** Starts a VCD for every test of the spec file that calls this. */
export function useScriptedVcd(): void {
  beforeEach(async () => {
    vcd = await ScriptedVcd.start();
    client = undefined;
  });
  afterEach(async () => {
    await client?.close();
    await vcd.stop();
  });
}

export const VCLOUD = 'xmlns="http://www.vmware.com/vcloud/v1.5"';
export const VAPP = '/api/vApp/vapp-00000000-0000-4000-8000-0000000000a1';
export const VM = '/api/vApp/vm-00000000-0000-4000-8000-0000000000b1';
export const VDC = '/api/vdc/00000000-0000-4000-8000-0000000000c1';
export const VIM = '/api/admin/extension/vimServer/00000000-0000-4000-8000-0000000000d1';
export const TASK = '/api/task/00000000-0000-4000-8000-0000000000e1';
export const GONE = { status: 403, body: errorXml(403, 'ACCESS_TO_RESOURCE_IS_FORBIDDEN', 'No access to entity') };

export function connection(changes: Partial<VcdEndpoint & { password: string }> = {}): VcdConnection {
  return {
    url: vcd.url,
    userName: 'administrator',
    password: PASSWORD,
    organization: 'System',
    trust: { thumbprint: vcd.thumbprint },
    requestTimeoutMs: 2_000,
    taskPollMs: 5,
    retryBaseDelayMs: 1,
    retryDeadlineMs: 2_000,
    ...changes,
  };
}

export async function connect(changes: Partial<VcdEndpoint> = {}): Promise<VcdClient> {
  client = await VcdClient.connect(connection(changes));
  return client;
}

export async function failure(work: Promise<unknown>): Promise<VcdError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(VcdError);
  const seen = inspect(error, { depth: 10, showHidden: true });
  expect(seen).not.toContain(PASSWORD);
  expect(seen).not.toContain(Buffer.from(`administrator@System:${PASSWORD}`).toString('base64'));
  expect(seen).not.toContain(TOKEN);
  expect(seen).not.toContain('com.vmware.Secret');
  return error as VcdError;
}

export function vapp(inner = '', attributes = 'status="8" deployed="false"'): string {
  return `<VApp ${VCLOUD} name="shop" href="${vcd.href(VAPP)}" ${attributes}>${inner}</VApp>`;
}

export function vm(moRef: string, status = 8): string {
  return (
    `<Vm name="web" status="${status}" deployed="false" href="${vcd.href(VM)}"><VCloudExtension required="false"><x:VmVimInfo xmlns:x="http://www.vmware.com/vcloud/extension/v1.5">` +
    `<x:VmVimObjectRef><x:VimServerRef href="${vcd.href(VIM)}"/><x:MoRef>${moRef}</x:MoRef><x:VimObjectType>VIRTUAL_MACHINE</x:VimObjectType></x:VmVimObjectRef></x:VmVimInfo></VCloudExtension></Vm>`
  );
}

export function task(status: string, inner = ''): string {
  return `<Task ${VCLOUD} name="task" status="${status}" operationName="importSingletonVapp" href="${vcd.href(TASK)}">${inner}</Task>`;
}

export function vappRecords(...names: string[]): string {
  const records = names.map((name) => `<AdminVAppRecord name="${name}" href="${vcd.href(VAPP)}" vdc="${vcd.href(VDC)}" numberOfVMs="1"/>`);
  return `<QueryResultRecords ${VCLOUD} total="${names.length}" page="1" pageSize="128">${records.join('')}</QueryResultRecords>`;
}
