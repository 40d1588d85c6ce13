import { describe, expect, it } from 'vitest';
import { silentLogger } from '../common/index.js';
import { cloudPayers } from './obligations.js';

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
