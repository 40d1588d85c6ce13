import { inspect } from 'node:util';
import { afterEach, beforeEach, expect } from 'vitest';
import { VsphereClient, type VsphereConnection, type VsphereError } from '../../src/vsphere/index.js';
import { type Call, Fault, PASSWORD, ScriptedVcenter, USER } from './scripted-vcenter.js';

/** The vCenter of the running test; a fresh one for each. */
export let vcenter: ScriptedVcenter;
const clients: VsphereClient[] = [];

export function useScriptedVcenter(): void {
  beforeEach(async () => {
    vcenter = await ScriptedVcenter.start();
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.close();
    await vcenter.stop();
  });
}

export async function connect(change: Partial<VsphereConnection> = {}): Promise<VsphereClient> {
  const connection = {
    url: vcenter.url,
    userName: USER,
    password: PASSWORD,
    trust: { thumbprint: vcenter.thumbprint },
    requestTimeoutMs: 5_000,
  };
  const client = await VsphereClient.connect({ ...connection, ...change });
  clients.push(client);
  return client;
}

/** What the promise fails with; no secret may show in it, however deep one looks. */
export async function failureOf(work: Promise<unknown>): Promise<VsphereError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  const shown = inspect(error, { depth: Number.POSITIVE_INFINITY, showHidden: true });
  expect(shown).not.toContain(PASSWORD);
  expect(shown).not.toContain('pa55');
  expect(shown).not.toContain('5e55-10n');
  return error as VsphereError;
}

/** Properties for RetrievePropertiesEx: by object, then path. Unset paths are left out, unknown objects are faults. */
export function inventory(objects: Record<string, Record<string, string>>) {
  return (call: Call) => {
    const wanted = call.body.find('specSet')?.childrenNamed('objectSet') ?? [];
    const paths = (call.body.find('specSet', 'propSet')?.childrenNamed('pathSet') ?? []).map((path) => path.text());
    const found: string[] = [];
    for (const spec of wanted) {
      const obj = spec.child('obj');
      const value = obj?.text() ?? '';
      const properties = objects[value];
      if (!properties) return new Fault('ManagedObjectNotFound', 'The object has already been deleted', `<obj type="x">${value}</obj>`);
      const set = paths.filter((path) => path in properties).map((path) => `<propSet><name>${path}</name>${properties[path]}</propSet>`);
      found.push(`<objects><obj type="${obj?.attribute('type')}">${value}</obj>${set.join('')}</objects>`);
    }
    return `<returnval>${found.join('')}</returnval>`;
  };
}

export const SNAPSHOTS = (name: string) =>
  `<val xsi:type="VirtualMachineSnapshotInfo"><currentSnapshot type="VirtualMachineSnapshot">snapshot-9</currentSnapshot><rootSnapshotList>
  <snapshot type="VirtualMachineSnapshot">snapshot-8</snapshot><vm type="VirtualMachine">vm-16</vm><name>older</name><description/><id>1</id><createTime>2026-01-01T00:00:00Z</createTime>
  <childSnapshotList><snapshot type="VirtualMachineSnapshot">snapshot-9</snapshot><vm type="VirtualMachine">vm-16</vm><name>${name}</name><description>d</description><id>2</id><createTime>2026-02-02T02:02:02Z</createTime></childSnapshotList>
  </rootSnapshotList></val>`;

/** A task that goes running -> the given last change, over two updates. */
export function scriptTask(
  last: string,
  result = '<result type="VirtualMachineSnapshot" xsi:type="ManagedObjectReference">snapshot-9</result>',
) {
  let collectors = 0;
  vcenter
    .on('CreatePropertyCollector', () => `<returnval type="PropertyCollector">session[1]collector-${++collectors}</returnval>`)
    .on('CreateFilter', '<returnval type="PropertyFilter">filter-1</returnval>')
    .on('WaitForUpdatesEx', (call) => {
      const set = (changes: string, version: string, kind: string) =>
        `<returnval><version>${version}</version><filterSet><filter type="PropertyFilter">filter-1</filter><objectSet><kind>${kind}</kind><obj type="Task">task-1</obj>${changes}</objectSet></filterSet></returnval>`;
      const version = call.body.textAt('version');
      if (version === '')
        return set(
          '<changeSet><name>info.state</name><op>assign</op><val xsi:type="TaskInfoState">running</val></changeSet>',
          '1',
          'enter',
        );
      // A long poll that ended without news has no return value.
      if (version === '1' && vcenter.of('WaitForUpdatesEx').length === 2) return '';
      return set(last, '2', 'modify');
    });
  return { info: `<val xsi:type="TaskInfo"><key>task-1</key><state>success</state>${result}</val>` };
}
export const SUCCESS = '<changeSet><name>info.state</name><op>assign</op><val xsi:type="TaskInfoState">success</val></changeSet>';
export const TASK = '<returnval type="Task">task-1</returnval>';
