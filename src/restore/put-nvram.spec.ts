import { describe, expect, it } from 'vitest';
import { VsphereError } from '../vsphere/index.js';
import { putNvram } from './put-nvram.js';

const CONFIG = (extra = '') => `<config xmlns="urn:vim25"><hardware/>${extra}</config>`;
const NAMED = '<extraConfig><key>nvram</key><value>older-name.nvram</value></extraConfig>';

describe('the NVRAM of a restored VM', () => {
  const put = async (configXml: string, failures: Error[] = []) => {
    const uploads: string[] = [];
    const warnings: string[] = [];
    const uploadFile = async (path: string) => {
      uploads.push(path);
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
    };
    const vm = { moRef: 'vm-1', vmPath: '[ds 1] web/web.vmx', configXml };
    await putNvram(Buffer.from('n'), {
      ...{ vm, name: 'web', vcenter: { uploadFile }, warn: (message: string) => warnings.push(message) },
      signal: new AbortController().signal,
    });
    return { uploads, warnings };
  };
  const refused = (retryable: boolean) => new VsphereError('vCenter refused it.', { code: 'FILE_TRANSFER_FAILED', retryable });

  it('goes where the VM looks for it', async () => {
    expect((await put(CONFIG(NAMED))).uploads).toEqual(['[ds 1] web/older-name.nvram']);
    expect((await put(CONFIG())).uploads).toEqual(['[ds 1] web/web.nvram']);
    // A path would leave the VM's folder.
    expect((await put(CONFIG(NAMED.replace('older-name', '../other')))).uploads).toEqual(['[ds 1] web/web.nvram']);
  });

  it('is tried again where that may help, and missed aloud', async () => {
    const passing = await put(CONFIG(), [refused(true)]);
    expect([passing.uploads.length, passing.warnings]).toEqual([2, []]);
    const lasting = await put(CONFIG(), [refused(false)]);
    expect(lasting.uploads).toHaveLength(1);
    expect(lasting.warnings).toEqual([expect.stringContaining('vCenter refused it.')]);
    await expect(put(CONFIG(), [new TypeError('ours')])).rejects.toThrow('ours');
  });
});
