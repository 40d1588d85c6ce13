import { afterEach, describe, expect, it, vi } from 'vitest';
import { parseXml } from '../common/index.js';
import { EntityNames, type VcdContext } from './context.js';
import { importStandaloneVm } from './import-standalone.js';

const VCLOUD = 'xmlns="http://www.vmware.com/vcloud/v1.5"';
const VM = 'https://vcd/api/vApp/vm-00000000-0000-4000-8000-0000000000b1';

/** A VCD whose import ends as FAILED_CREATION. */
function context(): VcdContext {
  const answered = (text: string) => ({ text, root: () => parseXml(text) });
  const vm = `<Vm ${VCLOUD} href="${VM}" name="web" status="-1"/>`;
  const http = {
    session: { isProvider: true, apiVersion: '37.0' },
    get: async (href: string, _operation: string, signal?: AbortSignal) => {
      signal?.throwIfAborted();
      return answered(href.includes('/api/query') ? `<QueryResultRecords ${VCLOUD} total="0" pageSize="128"/>` : vm);
    },
    request: async () => answered(vm),
  };
  return { http, names: new EntityNames(), taskPollMs: 1, taskTimeoutMs: 1_000 } as unknown as VcdContext;
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('importStandaloneVm', () => {
  it('tells why the import failed, also where the time for cleaning up is over', async () => {
    vi.spyOn(AbortSignal, 'timeout').mockReturnValue(AbortSignal.abort(new DOMException('Too late.', 'TimeoutError')));
    const params = { vimServerHref: 'https://vcd/vc', vmMoRef: 'vm-7', vdcHref: 'https://vcd/api/vdc/1', vmName: 'web' };
    await expect(importStandaloneVm(context(), params)).rejects.toMatchObject({ code: 'TASK_FAILED', subject: 'VM "web"' });
  });
});
