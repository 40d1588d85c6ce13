import { describe, expect, it } from 'vitest';
import { TimeoutError } from '../../src/common/index.js';
import { type Answer, type Call, Fault, HANG_UP, SILENCE } from './scripted-vcenter.js';
import { connect, failureOf, inventory, SUCCESS, TASK, useScriptedVcenter, vcenter } from './vsphere-fixtures.js';

useScriptedVcenter();

const update = (version: string, changes: string, more = '', object = '<obj type="Task">task-1</obj>') =>
  `<returnval><version>${version}</version><filterSet><filter type="PropertyFilter">filter-1</filter><objectSet><kind>modify</kind>${object}${changes}</objectSet></filterSet>${more}</returnval>`;
const change = (name: string, text: string) =>
  `<changeSet><name>${name}</name><op>assign</op><val xsi:type="xsd:string">${text}</val></changeSet>`;
const VM = '<obj type="VirtualMachine">vm-16</obj>';

/** A task whose collector answers each poll by `answers`, the last one again and again. */
function answerPolls(...answers: ((call: Call) => Answer)[]): void {
  let collectors = 0;
  let polls = 0;
  vcenter
    .on('Destroy_Task', TASK)
    .on('CreatePropertyCollector', () => `<returnval type="PropertyCollector">collector-${++collectors}</returnval>`)
    .on('CreateFilter', '<returnval type="PropertyFilter">filter-1</returnval>')
    .on('WaitForUpdatesEx', (call) => (answers[Math.min(polls++, answers.length - 1)] as (typeof answers)[number])(call))
    .on(
      'RetrievePropertiesEx',
      inventory({ 'task-1': { info: '<val xsi:type="TaskInfo"><key>task-1</key><state>success</state></val>' } }),
    );
}
const versions = () => vcenter.of('WaitForUpdatesEx').map((call) => call.body.textAt('version') ?? '');

describe('waiting for updates', () => {
  it('asks on with the version it was given, and takes a poll without news for nothing more', async () => {
    const client = await connect();
    answerPolls(
      () => update('1', change('info.state', 'running')),
      () => '',
      () => update('2', SUCCESS),
    );
    await client.destroyVm('vm-16');
    expect(versions()).toEqual(['', '1', '1']);
    expect(vcenter.of('DestroyPropertyCollector').map((call) => call.self)).toEqual(['collector-1']);
  });

  it('decides on whole sets only: of a truncated one the rest is fetched first', async () => {
    const client = await connect();
    const fault =
      '<val xsi:type="LocalizedMethodFault"><fault xsi:type="ResourceInUse"/><localizedMessage>In use.</localizedMessage></val>';
    answerPolls(
      () => update('1', change('info.state', 'error'), '<truncated>true</truncated>'),
      () => update('2', `<changeSet><name>info.error</name><op>assign</op>${fault}</changeSet>`),
    );
    expect((await failureOf(client.destroyVm('vm-16'))).code).toBe('RESOURCE_IN_USE');
    expect(versions()).toEqual(['', '1']);
  });

  it('begins anew when vCenter has forgotten the version', async () => {
    const client = await connect();
    answerPolls(
      () => update('7', change('info.state', 'running')),
      () => new Fault('InvalidCollectorVersion', 'The version is too old.'),
      () => update('8', SUCCESS),
    );
    await client.destroyVm('vm-16');
    expect(versions()).toEqual(['', '7', '']);
    expect(vcenter.of('CreatePropertyCollector')).toHaveLength(1);
  });

  it('outlives a vCenter that closes every long poll, with a collector of its own each time', async () => {
    const client = await connect();
    answerPolls(...Array.from({ length: 5 }, () => () => HANG_UP), () => update('1', SUCCESS));
    await client.destroyVm('vm-16');
    const made = vcenter.of('CreatePropertyCollector').length;
    expect(made).toBe(2);
    expect(vcenter.of('DestroyPropertyCollector')).toHaveLength(made);
    expect(vcenter.of('Destroy_Task')).toHaveLength(1);
  });

  it('outlives the session: logs in once, and watches the same task again', async () => {
    const client = await connect();
    answerPolls(
      () => {
        vcenter.sessions.clear();
        return update('1', change('info.state', 'running'));
      },
      () => new Fault('ManagedObjectNotFound', 'The collector went with its session.', '<obj type="PropertyCollector">collector-1</obj>'),
      () => update('1', SUCCESS),
    );
    await client.destroyVm('vm-16');
    expect(vcenter.of('Login')).toHaveLength(2);
    expect(vcenter.of('Destroy_Task')).toHaveLength(1);
  });

  it('outlives the session where the update itself says that it has ended', async () => {
    const client = await connect();
    const fault = '<fault><fault xsi:type="NotAuthenticated"/><localizedMessage/></fault>';
    answerPolls(
      () => update('1', `<missingSet><path>info.state</path>${fault}</missingSet>`),
      () => new Fault('ManagedObjectNotFound', 'The collector went with its session.', '<obj type="PropertyCollector">collector-1</obj>'),
      () => update('1', SUCCESS),
    );
    await client.destroyVm('vm-16');
    expect(vcenter.of('Login')).toHaveLength(2);
    expect(vcenter.of('CreatePropertyCollector')).toHaveLength(2);
  });

  it('waits for a power state, and is told at once when the VM has gone', async () => {
    const client = await connect();
    answerPolls(
      () => update('1', change('runtime.powerState', 'poweredOn'), '', VM),
      () => update('2', change('runtime.powerState', 'poweredOff'), '', VM),
      () =>
        `<returnval><version>3</version><filterSet><filter type="PropertyFilter">f</filter><objectSet><kind>leave</kind>${VM}</objectSet></filterSet></returnval>`,
    );
    await client.waitForPowerState('vm-16', 'poweredOff', 20_000);
    expect(versions()).toEqual(['', '1']);
    expect((await failureOf(client.waitForPowerState('vm-16', 'poweredOff', 20_000))).code).toBe('NOT_FOUND');
  });

  it('leaves room for other calls, however many wait', async () => {
    const client = await connect();
    let collectors = 0;
    vcenter
      .on('CreatePropertyCollector', () => `<returnval type="PropertyCollector">collector-${++collectors}</returnval>`)
      .on('WaitForUpdatesEx', SILENCE)
      .on('RetrievePropertiesEx', inventory({ 'datastore-1': { name: '<val xsi:type="xsd:string">ds-1</val>' } }));
    const controllers = Array.from({ length: 80 }, () => new AbortController());
    const waits = controllers.map(({ signal }) =>
      client.waitForPowerState('vm-16', 'poweredOff', 120_000, signal).catch((error: unknown) => error),
    );
    await expect.poll(() => vcenter.of('WaitForUpdatesEx').length, { timeout: 30_000 }).toBe(80);
    expect(await client.datastoreName('datastore-1')).toBe('ds-1');
    for (const controller of controllers) controller.abort();
    expect((await Promise.all(waits)).every((error) => error instanceof Error)).toBe(true);
  });

  it('ends at its own timeout, says what did not happen, and leaves no collector', async () => {
    const client = await connect();
    answerPolls(() => update('1', change('runtime.powerState', 'poweredOn'), '', VM));
    const error = await failureOf(client.waitForPowerState('vm-16', 'poweredOff', 500));
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error.message).toContain('waiting for VM vm-16 to be poweredOff');
    await expect
      .poll(() => vcenter.of('DestroyPropertyCollector').length, { timeout: 10_000 })
      .toBe(vcenter.of('CreatePropertyCollector').length);
  });
});

describe('listing a whole vCenter', () => {
  const MANAGERS = '<viewManager type="ViewManager">ViewManager</viewManager>';
  const page = (from: number, count: number, token: string | undefined) => {
    const objects = Array.from(
      { length: count },
      (_, n) =>
        `<objects><obj type="VirtualMachine">vm-${from + n}</obj><propSet><name>name</name><val xsi:type="xsd:string">vm ${from + n}</val></propSet></objects>`,
    );
    return `<returnval>${token === undefined ? '' : `<token>${token}</token>`}${objects.join('')}</returnval>`;
  };

  /** `count` VMs in pages of as many objects as are asked for. */
  function answerView(count: number, continued: (from: number) => Answer | undefined = () => undefined): void {
    vcenter.managers = MANAGERS;
    vcenter
      .on('CreateContainerView', '<returnval type="ContainerView">view-1</returnval>')
      .on('RetrievePropertiesEx', () => page(0, Math.min(100, count), count > 100 ? '100' : undefined))
      .on('ContinueRetrievePropertiesEx', (call) => {
        const from = Number(call.body.textAt('token'));
        return continued(from) ?? page(from, Math.min(100, count - from), from + 100 < count ? String(from + 100) : undefined);
      });
  }

  it('fetches 5,000 VMs a page at a time, each when the one before was taken, and destroys its view', async () => {
    answerView(5_000);
    const client = await connect();
    let seen = 0;
    for await (const vms of client.survey.vms()) {
      // Nothing is fetched ahead: what is in memory is this page.
      expect(vcenter.of('ContinueRetrievePropertiesEx')).toHaveLength(seen / 100);
      expect(vms).toHaveLength(100);
      seen += vms.length;
    }
    expect(seen).toBe(5_000);
    expect(vcenter.of('RetrievePropertiesEx')[0]?.text).toContain('maxObjects>100</');
    expect(vcenter.of('CancelRetrievePropertiesEx')).toEqual([]);
    expect(vcenter.of('DestroyView').map((call) => call.self)).toEqual(['view-1']);
  });

  it('tells vCenter when the rest is not wanted any more', async () => {
    answerView(500);
    const client = await connect();
    for await (const vms of client.survey.vms()) if (vms.length > 0) break;
    expect(vcenter.of('CancelRetrievePropertiesEx').map((call) => call.body.textAt('token'))).toEqual(['100']);
    expect(vcenter.of('DestroyView')).toHaveLength(1);
  });

  it.each<[string, () => Answer]>([
    ['the connection breaks between two pages', () => HANG_UP],
    [
      'the session ends between two pages',
      () => {
        vcenter.sessions.clear();
        return new Fault('InvalidProperty', 'No such token.', '<name>token</name>');
      },
    ],
  ])('tells each VM once, though %s', async (_, fail) => {
    let failures = 1;
    answerView(250, (from): Answer | undefined => (from === 100 && failures-- > 0 ? fail() : undefined));
    const client = await connect();
    const names: string[] = [];
    for await (const vms of client.survey.vms()) names.push(...vms.map(({ name }) => name));
    expect(new Set(names).size).toBe(250);
    expect(names).toHaveLength(250);
  });

  it('asks for few objects anew too when a page is lost', async () => {
    answerView(150, (from): Answer | undefined =>
      vcenter.of('ContinueRetrievePropertiesEx').length === 1 && from === 100 ? HANG_UP : undefined,
    );
    const client = await connect();
    await client.findVmInFolder('group-v3', 'none');
    expect(vcenter.of('RetrievePropertiesEx').length).toBe(2);
  });
});
