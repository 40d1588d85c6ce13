import { describe, expect, it } from 'vitest';
import { MIB } from '../common/index.js';
import { VsphereError } from '../vsphere/index.js';
import { storeNvram, storeQuiescing } from './store-vm-files.js';

const CONFIG = '<config xmlns="urn:vim25"><hardware/><extraConfig><key>nvram</key><value>web.nvram</value></extraConfig></config>';

function setUp(answer: Buffer | Error) {
  const asked: string[] = [];
  const warnings: string[] = [];
  const documents: Buffer[] = [];
  const abort = new AbortController();
  const vm = {
    captured: { name: 'web' },
    configuration: { moRef: 'vm-1', vmPath: '[ds 1] web/web.vmx' },
    vcenter: {
      downloadFile: async (path: string) => {
        asked.push(path);
        if (answer instanceof Error) throw answer;
        return answer;
      },
    },
  };
  const options = {
    session: { putDocument: async (data: Buffer) => `document ${documents.push(data)}` },
    warn: (message: string) => warnings.push(message),
    signal: abort.signal,
  };
  return { store: () => storeNvram(vm as never, options as never, CONFIG), asked, warnings, documents, abort, options };
}

describe('storeNvram', () => {
  it('keeps the file beside the configuration', async () => {
    const data = Buffer.alloc(8684, 7);
    const { store, asked, warnings, documents } = setUp(data);
    expect(await store()).toBe('document 1');
    expect([asked, documents, warnings]).toEqual([['[ds 1] web/web.nvram'], [data], []]);
  });

  it.each([
    [
      'is not there',
      new VsphereError('vCenter has no file [ds 1] web/web.nvram.', { code: 'NOT_FOUND' }),
      /could not be saved: vCenter has no/,
    ],
    ['is empty', Buffer.alloc(0), /is not in this restore point: .*web\.nvram has 0 bytes/],
    ['is no NVRAM', Buffer.alloc(16 * MIB + 1), /is not in this restore point: .* has 16777217 bytes/],
  ])('warns, and goes on, where it %s', async (_, answer, warning) => {
    const { store, warnings, documents } = setUp(answer);
    expect(await store()).toBeNull();
    expect(documents).toEqual([]);
    expect(warnings).toEqual([expect.stringMatching(warning)]);
  });

  it('does not take a cancelled run for a missing file', async () => {
    const reason = new Error('cancelled');
    const { store, warnings, abort } = setUp(reason);
    abort.abort(reason);
    await expect(store()).rejects.toBe(reason);
    expect(warnings).toEqual([]);
  });
});

describe('storeQuiescing', () => {
  it.each([
    ['application', 'application'],
    ['file-system', 'file-system'],
    ['crash', 'none'],
    ['powered-off', 'none'],
  ])('keeps what was achieved, %s, and what VSS says of it', async (achieved, quiesced) => {
    const { options, documents } = setUp(Buffer.alloc(0));
    const vssManifest = Buffer.from('zip');
    const vm = { quiescing: { achieved, obstacles: ['an obstacle'] }, vssManifest };
    expect(await storeQuiescing(vm as never, options as never)).toEqual({
      quiesced,
      quiescing: { achieved, obstacles: ['an obstacle'], vssManifestDocument: 'document 1' },
    });
    expect(documents).toEqual([vssManifest]);
    const without = await storeQuiescing({ ...vm, vssManifest: undefined } as never, options as never);
    expect(without.quiescing).not.toHaveProperty('vssManifestDocument');
  });
});
