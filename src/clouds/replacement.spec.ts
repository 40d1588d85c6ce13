import { describe, expect, it } from 'vitest';
import { type NicConnection, type StartupItem, type VappCapture, type VcdClientApi, VcdError, type VmCapture } from '../vcd/index.js';
import { completeReplacement, type Replacement } from './replacement.js';

const OLD = 'https://vcd/api/vApp/vapp-old';
const NEW = 'https://vcd/api/vApp/vapp-new';
const nic = (mac: string): NicConnection => ({
  index: 0,
  network: 'front',
  connected: true,
  macAddress: mac,
  allocationMode: 'MANUAL',
  ipAddress: '10.0.0.5',
  primary: true,
});
const start = (vmName: string, order: number): StartupItem => ({
  vmName,
  order,
  startAction: 'powerOn',
  startDelaySeconds: 0,
  stopAction: 'powerOff',
  stopDelaySeconds: 0,
});
const terms: Replacement = {
  cloudId: 'c',
  vappHref: NEW,
  vappName: 'shop',
  renames: true,
  oldVappHref: OLD,
  oldVmHrefs: [],
  keepMacAddresses: true,
  vms: [{ href: 'vm-1', name: 'web-1', nics: [nic('00:50:56:AA:00:01')] }],
  startup: [start('web-1', 3)],
};

/** A VCD with an old and a new vApp, which says what was done in it. */
function setUp(vapps: string[] = [OLD, NEW], failing: string[] = []) {
  const calls: string[] = [];
  const there = new Set(vapps);
  const vm = { href: 'vm-1', name: 'web-1', nics: [{ ...nic('00:50:56:bb:00:09'), allocationMode: 'POOL' }], sections: { Other: '<x/>' } };
  const vapp = { name: 'shop-0197', vms: [vm as unknown as VmCapture], startup: [start('web-1', 0), start('added', 1)] };
  const gone = () => new VcdError('It is gone.', { code: 'VAPP_NOT_FOUND' });
  const note = async (call: string) => {
    if (failing.includes(call)) throw new VcdError('VCD is away.', { code: 'VCD_UNREACHABLE', retryable: true });
    calls.push(call);
  };
  const vcd: Partial<VcdClientApi> = {
    waitForRunningTasks: async (href) => {
      if (!there.has(href)) throw gone();
    },
    captureVapp: async (href) => {
      if (!there.has(href)) throw gone();
      return vapp as unknown as VappCapture;
    },
    deleteVapp: async (href) => {
      await note(`delete ${href}`);
      there.delete(href);
    },
    deleteVm: (href) => note(`delete ${href}`),
    writeVapp: async (_href, { name }) => note(`rename to ${name}`),
    writeVm: async (_href, wanted, { keepMacAddresses }) => {
      await note(`write ${wanted.name} ${wanted.nics[0]?.macAddress} ${String(keepMacAddresses)} ${Object.keys(wanted.sections).length}`);
      vm.nics = wanted.nics;
    },
    writeStartup: async (_href, items) => {
      await note(`start order ${items.map(({ vmName, order }) => `${vmName}:${order}`).join(' ')}`);
      vapp.startup = [...items];
    },
  };
  const pay = (changed: Partial<Replacement> = {}) =>
    completeReplacement({ ...terms, ...changed }, vcd as VcdClientApi, 1_000, new AbortController().signal);
  return { calls, pay };
}

describe('a replacement', () => {
  const rest = ['write web-1 00:50:56:AA:00:01 true 0', 'start order web-1:3 added:1'];

  it('deletes the old vApp first, then gives the new one its name, its addresses and its place in the start order', async () => {
    const { calls, pay } = setUp();
    await pay();
    expect(calls).toEqual([`delete ${OLD}`, 'rename to shop', ...rest]);
  });

  it('is carried on where it stopped, and writes nothing twice', async () => {
    const { calls, pay } = setUp([NEW]);
    await pay();
    expect(calls).toEqual(['rename to shop', ...rest]);
    calls.length = 0;
    await pay();
    expect(calls).toEqual(['rename to shop']);
  });

  it('takes away no old vApp whose successor somebody has deleted', async () => {
    const { calls, pay } = setUp([OLD]);
    await pay();
    expect(calls).toEqual([]);
  });

  it('of VMs leaves the name of their vApp', async () => {
    const { calls, pay } = setUp();
    await pay({ renames: false, oldVappHref: undefined, oldVmHrefs: ['vm-old'] } as Partial<Replacement>);
    expect(calls).toEqual(['delete vm-old', ...rest]);
  });

  it('gives the new one nothing while the old one cannot be deleted', async () => {
    const { calls, pay } = setUp([OLD, NEW], [`delete ${OLD}`]);
    await expect(pay()).rejects.toThrow('VCD is away.');
    expect(calls).toEqual([]);
  });
});
