import { describe, expect, it } from 'vitest';
import { silentLogger } from '../common/index.js';
import { type MediaCapture, type VappCapture, type VcdClientApi, VcdError } from '../vcd/index.js';
import { VsphereError } from '../vsphere/index.js';
import { cloudPayers, payerOptions } from './obligations.js';

/** A VCD of two vApps, told by name and address. */
function setUp() {
  const deleted: string[] = [];
  const waited: string[] = [];
  const vapps = new Map([
    ['shop', 'https://vcd/api/vApp/vapp-of-a-tenant'],
    ['shop-0197', 'https://vcd/api/vApp/vapp-ours'],
  ]);
  const vcd = {
    findVapp: async (_vdc: string, name: string) => (vapps.has(name) ? { href: vapps.get(name), status: 0, vmMoRefs: [] } : undefined),
    waitForRunningTasks: async (href: string) => void waited.push(href),
    deleteVapp: async (href: string) => void deleted.push(href),
  };
  const payers = cloudPayers({ sessions: async () => ({ vcd: async () => vcd }) as never, vddk: () => ({}) as never });
  const pay = async (kind: string, terms: Record<string, unknown>) =>
    await payers.get(kind)?.({ cloudId: 'c', ...terms }, new AbortController().signal, silentLogger);
  return { deleted, waited, pay };
}

describe('the debt of a vApp that is to run', () => {
  const pay = async (powerOn: () => Promise<void>) => {
    const calls: string[] = [];
    const vcd = {
      waitForRunningTasks: async (href: string) => void calls.push(`wait ${href}`),
      powerOn: async (href: string) => {
        calls.push(`on ${href}`);
        await powerOn();
      },
    };
    const payers = cloudPayers({ sessions: async () => ({ vcd: async () => vcd }) as never, vddk: () => ({}) as never });
    const terms = { cloudId: 'c', vappHref: 'v', vappName: 'shop' };
    return { outcome: await payers.get('vcd.power-on')?.(terms, new AbortController().signal, silentLogger), calls };
  };

  it('is paid for good when it is powered on, after what VCD still does with it', async () => {
    expect(await pay(async () => undefined)).toEqual({ outcome: 'undone', calls: ['wait v', 'on v'] });
  });

  it('stays where VCD refuses', async () => {
    const refused = new VcdError('There is no room.', { code: 'REQUEST_REFUSED', httpStatus: 400 } as never);
    await expect(pay(() => Promise.reject(refused))).rejects.toThrow('There is no room.');
  });
});

describe('the debt of a vApp being built', () => {
  const vdcHref = 'https://vcd/api/vdc/1';

  it('is paid by its own name: a vApp of the restored name, empty and half made as it may be, is somebody else’s', async () => {
    const { deleted, pay } = setUp();
    await pay('vcd.vapp', { vdcHref, vappName: 'shop-0198' });
    expect(deleted).toEqual([]);
    await pay('vcd.vapp', { vdcHref, vappName: 'shop-0197' });
    expect(deleted).toEqual(['https://vcd/api/vApp/vapp-ours']);
  });

  it('is paid by its address where that is known, whatever its name is by now, and after its tasks', async () => {
    const { deleted, waited, pay } = setUp();
    await pay('vcd.vapp', { vdcHref, vappName: 'shop-0199', vappHref: 'https://vcd/api/vApp/vapp-renamed' });
    expect(waited).toEqual(['https://vcd/api/vApp/vapp-renamed']);
    expect(deleted).toEqual(['https://vcd/api/vApp/vapp-renamed']);
  });
});

describe('the debt of change tracking that a restore turned off', () => {
  const terms = { cloudId: 'c', vcenterInstanceUuid: 'v', vmMoRef: 'vm-7', vmName: 'web' };
  const pay = async (readVm: () => Promise<{ changeTrackingEnabled: boolean }>, more: object = {}) => {
    const calls: string[] = [];
    const vcenter = {
      findVmByInstanceUuid: async (uuid: string) => (uuid === 'u' ? 'vm-8' : undefined),
      letTasksEnd: async () => void calls.push('wait'),
      readVm,
      enableChangeTracking: async (moRef: string) => void calls.push(`on ${moRef}`),
    };
    const payers = cloudPayers({ sessions: async () => ({ vcenter: async () => vcenter }) as never, vddk: () => ({}) as never });
    return { outcome: await payers.get('vsphere.tracking')?.({ ...terms, ...more }, new AbortController().signal, silentLogger), calls };
  };

  it('is paid when it is on again, after what is still on its way', async () => {
    expect(await pay(async () => ({ changeTrackingEnabled: false }))).toEqual({ outcome: 'undone', calls: ['wait', 'on vm-7'] });
  });

  it('is of the VM that was meant, whatever its MoRef is by now, and whose the old one is', async () => {
    const off = async () => ({ changeTrackingEnabled: false });
    expect((await pay(off, { vmInstanceUuid: 'u' })).calls).toEqual(['wait', 'on vm-8']);
    expect(await pay(off, { vmInstanceUuid: 'gone' })).toEqual({ outcome: undefined, calls: [] });
  });

  it('is looked at once more where it is on: the request to turn it off may come yet', async () => {
    expect(await pay(async () => ({ changeTrackingEnabled: true }))).toEqual({ outcome: undefined, calls: ['wait'] });
  });

  it('is none where the VM is gone', async () => {
    const gone = () => Promise.reject(new VsphereError('It is gone.', { code: 'NOT_FOUND' }));
    expect(await pay(gone)).toEqual({ outcome: undefined, calls: ['wait'] });
  });
});

describe('the debts of what is being made in a catalog', () => {
  const gone = () => Promise.reject(new VcdError('It is gone.', { code: 'TEMPLATE_NOT_FOUND' }));
  const catalogHref = 'https://vcd/api/catalog/1';
  const vappHref = 'https://vcd/api/vApp/vapp-1';

  function inCatalog(more: Partial<VcdClientApi> = {}) {
    const calls: string[] = [];
    const items = new Map<string, { entityHref: string; kind: 'vapp-template' | 'media' }>([
      ['pair-0197', { entityHref: 'template-ours', kind: 'vapp-template' }],
      ['disc-0197', { entityHref: 'media-ours', kind: 'media' }],
    ]);
    const vcd: Partial<VcdClientApi> = {
      findInCatalog: async (_catalog, name) => {
        const found = items.get(name);
        return found && { ...found, itemHref: 'item' };
      },
      waitForRunningTasks: async (href) => void calls.push(`wait ${href}`),
      waitForEntityTasks: async (href) => void calls.push(`wait ${href}`),
      deleteTemplate: async (href) => void calls.push(`delete template ${href}`),
      deleteMedia: async (href) => void calls.push(`delete medium ${href}`),
      captureVappTemplate: async () => ({ name: 'pair-0197', description: 'kept' }) as VappCapture,
      captureMedia: async () => ({ name: 'disc-0197', description: 'kept' }) as MediaCapture,
      writeTemplate: async (href, { name, description }) => void calls.push(`write ${href} ${name} ${description}`),
      writeMedia: async (href, { name, description }) => void calls.push(`write ${href} ${name} ${description}`),
      ...more,
    };
    const payers = cloudPayers({ sessions: async () => ({ vcd: async () => vcd }) as never, vddk: () => ({}) as never });
    const pay = async (kind: string, terms: Record<string, unknown>) =>
      await payers.get(kind)?.({ cloudId: 'c', catalogHref, ...terms }, new AbortController().signal, silentLogger);
    return { calls, pay };
  }

  it('finds a template by its own name, and by its address once it has one, whatever it is called by then', async () => {
    const { calls, pay } = inCatalog();
    await pay('vcd.template', { vappHref, name: 'pair-0197' });
    await pay('vcd.template', { vappHref, name: 'pair-0198', templateHref: 'template-renamed' });
    expect(calls).toEqual(['delete template template-ours', 'delete template template-renamed']);
  });

  it('looks again when the vApp is captured: a template may come into its catalog only then', async () => {
    let captured = false;
    const { calls, pay } = inCatalog({
      waitForRunningTasks: async () => {
        captured = true;
      },
      findInCatalog: async () => (captured ? { itemHref: 'item', entityHref: 'template-late', kind: 'vapp-template' } : undefined),
    });
    await pay('vcd.template', { vappHref, name: 'pair-0197' });
    expect(calls).toEqual(['delete template template-late']);
  });

  it('owes nothing for what was not made, is of another kind, or whose catalog is gone', async () => {
    const { calls, pay } = inCatalog();
    await pay('vcd.template', { vappHref, name: 'pair' });
    await pay('vcd.template', { vappHref, name: 'disc-0197' });
    await pay('vcd.media', { name: 'pair-0197' });
    await pay('vcd.media', { name: 'disc' });
    expect(calls).toEqual([`wait ${vappHref}`, `wait ${vappHref}`]);
    const refused = new VcdError('No.', { code: 'FORBIDDEN', httpStatus: 403, minorErrorCode: 'ACCESS_TO_RESOURCE_IS_FORBIDDEN' });
    const without = inCatalog({ findInCatalog: () => Promise.reject(refused) });
    await without.pay('vcd.media', { name: 'disc-0197' });
    expect(without.calls).toEqual([]);
  });

  it('keeps the debt when VCD cannot be asked', async () => {
    const away = () => Promise.reject(new VcdError('VCD is away.', { code: 'VCD_UNREACHABLE', retryable: true }));
    const { calls, pay } = inCatalog({ findInCatalog: away });
    await expect(pay('vcd.template', { vappHref, name: 'pair-0197' })).rejects.toThrow('VCD is away.');
    expect(calls).toEqual([]);
  });

  it('deletes a medium without waiting for an upload that nobody carries on', async () => {
    const { calls, pay } = inCatalog();
    await pay('vcd.media', { name: 'disc-0197' });
    await pay('vcd.media', { name: 'disc-0198', mediaHref: 'media-renamed' });
    expect(calls).toEqual(['delete medium media-ours', 'delete medium media-renamed']);
  });

  it('gives a template and a medium the name of the old one, once that is gone', async () => {
    const { calls, pay } = inCatalog();
    await pay('vcd.replace-item', { kind: 'vapp-template', entityHref: 'new', oldEntityHref: 'old', name: 'pair' });
    expect(calls).toEqual(['wait new', 'wait old', 'delete template old', 'write new pair kept']);
    calls.length = 0;
    await pay('vcd.replace-item', { kind: 'media', entityHref: 'new', oldEntityHref: 'old', name: 'disc' });
    expect(calls).toEqual(['wait new', 'wait old', 'delete medium old', 'write new disc kept']);
  });

  it('carries a replacement on where it was left, and keeps the old one when the new one is gone', async () => {
    const begun = inCatalog({
      waitForEntityTasks: (href) => (href === 'old' ? gone() : Promise.resolve()),
    });
    await begun.pay('vcd.replace-item', { kind: 'vapp-template', entityHref: 'new', oldEntityHref: 'old', name: 'pair-0197' });
    expect(begun.calls).toEqual([]);
    const lost = inCatalog({ waitForEntityTasks: (href) => (href === 'new' ? gone() : Promise.resolve()) });
    await lost.pay('vcd.replace-item', { kind: 'vapp-template', entityHref: 'new', oldEntityHref: 'old', name: 'pair' });
    expect(lost.calls).toEqual([]);
  });
});

describe('the debt of a named disk', () => {
  const vdcHref = 'https://vcd/api/vdc/1';
  function setUpDisks() {
    const done: string[] = [];
    const vcd = {
      findNamedDisks: async (_vdc: string, name: string) => (name === 'orders-0197' ? [{ href: 'd/made' }] : []),
      waitForRunningTasks: async (href: string) => void done.push(`wait ${href}`),
      detachNamedDisk: async (vm: string, disk: string) => {
        if (vm === 'vm/gone') throw new VcdError('no', { code: 'REQUEST_REFUSED', httpStatus: 404 } as never);
        done.push(`detach ${disk} from ${vm}`);
      },
      deleteNamedDisk: async (href: string) => void done.push(`delete ${href}`),
    };
    const payers = cloudPayers({ sessions: async () => ({ vcd: async () => vcd }) as never, vddk: () => ({}) as never });
    const pay = async (terms: Record<string, unknown>) => {
      await payers.get('vcd.disk')?.({ cloudId: 'c', vdcHref, ...terms }, new AbortController().signal, silentLogger);
      return done;
    };
    return pay;
  }

  it('finds it by its own name while its address is not known, and only then', async () => {
    expect(await setUpDisks()({ diskName: 'orders-0197' })).toEqual(['delete d/made']);
    expect(await setUpDisks()({ diskName: 'orders' })).toEqual([]);
  });

  it('takes it from its VM first, after what VCD still does there; a VM that is gone holds nothing', async () => {
    const terms = { diskName: 'x', diskHref: 'd/1', vappHref: 'vapp', vmHref: 'vm/1' };
    expect(await setUpDisks()(terms)).toEqual(['wait vapp', 'detach d/1 from vm/1', 'delete d/1']);
    expect(await setUpDisks()({ ...terms, vmHref: 'vm/gone' })).toEqual(['wait vapp', 'delete d/1']);
  });

  it('never deletes one that was only borrowed', async () => {
    expect(await setUpDisks()({ diskName: 'x', diskHref: 'd/1', vmHref: 'vm/1', borrowed: true })).toEqual(['detach d/1 from vm/1']);
  });
});

describe('the debt of a standalone VM', () => {
  it('is paid by the VM of its own name in that VDC, with the vApp VCD made around it', async () => {
    const deleted: string[] = [];
    const uuid = (digit: string) => `0b5b3f7e-1111-2222-3333-44445555666${digit}`;
    const vcd = {
      apiVersion: '37.1',
      idFilter: (ids: string[]) => ids.join(),
      async *vms(filter: string) {
        expect(filter).toContain('lone-0197');
        yield { vdcId: `urn:vcloud:vdc:${uuid('2')}`, vappId: 'elsewhere' };
        yield { vdcId: `urn:vcloud:vdc:${uuid('1')}`, vappId: 'around-it' };
      },
      async *vapps(filter: string) {
        yield { href: `vapp/${filter}` };
      },
      waitForRunningTasks: async () => undefined,
      deleteVapp: async (href: string) => void deleted.push(href),
    };
    const payers = cloudPayers({ sessions: async () => ({ vcd: async () => vcd }) as never, vddk: () => ({}) as never });
    const terms = { cloudId: 'c', vdcHref: `https://vcd/api/vdc/${uuid('1')}`, vmName: 'lone-0197' };
    await payers.get('vcd.standalone')?.(terms, new AbortController().signal, silentLogger);
    expect(deleted).toEqual(['vapp/around-it']);
  });
});

describe('a debt whose object is gone', () => {
  const goneIn = (code: string) => () =>
    Promise.reject(new VcdError('It is gone.', { code, httpStatus: 403, minorErrorCode: 'ACCESS_TO_RESOURCE_IS_FORBIDDEN' }));
  const vappGone = goneIn('VAPP_NOT_FOUND');
  const done = async () => undefined;
  const none = async function* () {};
  const vcd: Partial<VcdClientApi> = {
    apiVersion: '37.1',
    inMaintenanceMode: vappGone,
    exitMaintenanceMode: done,
    waitForRunningTasks: vappGone,
    waitForEntityTasks: goneIn('TEMPLATE_NOT_FOUND'),
    captureVapp: vappGone,
    findVapp: done,
    deleteVapp: done,
    deleteVm: done,
    powerOn: vappGone,
    findNamedDisks: async () => [],
    detachNamedDisk: goneIn('VM_NOT_FOUND'),
    deleteNamedDisk: done,
    endMediaDownload: done,
    findInCatalog: goneIn('NOT_FOUND'),
    deleteTemplate: done,
    deleteMedia: done,
    vms: none,
    vapps: none,
  };
  const vcenter = {
    findVmByInstanceUuid: done,
    letTasksEnd: done,
    findVmInFolder: () => Promise.reject(new VsphereError('The folder is gone.', { code: 'NOT_FOUND' })),
  };
  const payers = cloudPayers({
    sessions: async () => ({ vcd: async () => vcd, vcenter: async () => vcenter }) as never,
    vddk: () => ({}) as never,
  });
  const vm = { vcenterInstanceUuid: 'u', vmName: 'web-1' };

  it.each<[string, object]>([
    ['vcd.maintenance', { vappHref: 'v' }],
    ['vsphere.snapshot', { ...vm, vmInstanceUuid: 'i', snapshotName: 's' }],
    ['vsphere.vm', { ...vm, folderMoRef: 'group-v3' }],
    ['vcd.vapp', { vdcHref: 'd', vappName: 'shop-0197' }],
    ['vcd.vm', { vappHref: 'v', vmName: 'web-1-0197' }],
    ['vcd.standalone', { vdcHref: 'd', vmName: 'web-1-0197' }],
    ['vcd.disk', { vdcHref: 'd', diskName: 'data-0197' }],
    ['vcd.template', { catalogHref: 'c', vappHref: 'v', name: 't-0197' }],
    ['vcd.media', { catalogHref: 'c', name: 'm-0197' }],
    ['vcd.download', { mediaHref: 'm' }],
  ])('is paid, and looked for once more where its request may still come: %s', async (kind, terms) => {
    await expect(payers.get(kind)?.({ cloudId: 'c', ...terms }, new AbortController().signal, silentLogger)).resolves.toBeUndefined();
  });

  it.each<[string, object]>([
    ['vcd.disk', { vdcHref: 'd', diskName: 'data-0197', diskHref: 'disk', vmHref: 'vm', vappHref: 'v' }],
    ['vcd.replace', { vappHref: 'v', vappName: 'shop', renames: true, oldVmHrefs: [], keepMacAddresses: true, vms: [], startup: [] }],
    ['vcd.replace-item', { kind: 'media', entityHref: 'm', oldEntityHref: 'n', name: 'disc' }],
    ['vcd.power-on', { vappHref: 'v', vappName: 'shop' }],
  ])('is paid for good where nothing can come any more: %s', async (kind, terms) => {
    await expect(payers.get(kind)?.({ cloudId: 'c', ...terms }, new AbortController().signal, silentLogger)).resolves.toBe('undone');
  });
});

describe('the system that a debt is paid at', () => {
  const at = (kind: string, terms: object) => payerOptions(kind).system?.({ cloudId: 'c', ...terms } as never);

  it('is the VCD of its cloud or one of the vCenters: each may hang while the others answer', () => {
    const asked = [
      at('vcd.maintenance', {}),
      at('vsphere.snapshot', { vcenterInstanceUuid: 'v' }),
      at('vddk.access', { vcenterInstanceUuid: 'w' }),
    ];
    expect(new Set(asked).size).toBe(3);
    expect(at('vsphere.tracking', { vcenterInstanceUuid: 'v' })).toBe(asked[1]);
    expect(at('vcd.replace', {})).toBe(asked[0]);
    expect(at('vcd.maintenance', { cloudId: 'd' })).not.toBe(asked[0]);
  });
});

describe('debts of what may be in use by now', () => {
  const inUse = (kind: string, terms: object) => payerOptions(kind).mayBeInUse?.(terms as never);

  it('are those of all that a restore makes or exchanges, and no others', () => {
    const kinds = [...cloudPayers({ sessions: () => Promise.reject(new Error()), vddk: () => ({}) as never }).keys()];
    expect(kinds.filter((kind) => payerOptions(kind).mayBeInUse !== undefined).toSorted()).toEqual([
      ...[
        'vcd.disk',
        'vcd.media',
        'vcd.power-on',
        'vcd.replace',
        'vcd.replace-item',
        'vcd.standalone',
        'vcd.template',
        'vcd.vapp',
        'vcd.vm',
      ],
      ...['vsphere.disk', 'vsphere.vm'],
    ]);
  });

  it('name it as a person finds it', () => {
    expect(inUse('vcd.vapp', { vappName: 'shop-0197' })).toBe('vApp "shop-0197"');
    expect(inUse('vcd.vapp', { vappName: 'shop-0197', vappHref: 'https://vcd/vApp/1' })).toBe('vApp "shop-0197", https://vcd/vApp/1');
    expect(inUse('vcd.vm', { vmName: 'web', vappHref: 'https://vcd/vApp/1' })).toBe('VM "web", in https://vcd/vApp/1');
    expect(inUse('vcd.replace', { vappName: 'shop', vappHref: 'https://vcd/vApp/1' })).toBe(
      'vApp "shop", https://vcd/vApp/1, and what it or its VMs were to replace',
    );
    expect(
      inUse('vcd.replace-item', { kind: 'media', name: 'cd', entityHref: 'https://vcd/media/2', oldEntityHref: 'https://vcd/media/1' }),
    ).toBe('medium "cd", https://vcd/media/2, which was to replace https://vcd/media/1');
  });
});
