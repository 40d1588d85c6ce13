import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { ovfDescriptor } from '../../../src/export/ovf/descriptor.js';
import { CONFIGURATION, vappCapture, vmCapture } from '../../../src/export/ovf/testing.js';
import { capturedHardware } from '../../../src/vsphere/index.js';

const RUN = fileURLToPath(new URL('run.mjs', import.meta.url));

it('an exported OVF descriptor is valid against the schemas of DMTF and VMware, where those are', (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'vapp-vault-ovf-spec-'));
  try {
    const captured = vmCapture('web-1');
    const disk = { fileName: 'shop-disk1.vmdk', sizeBytes: 70_000, capacityBytes: 62 * 2 ** 40, dataBytes: 65_536 };
    const vm = { captured, hardware: capturedHardware(CONFIGURATION), disks: new Map([[2000, disk]]) };
    const vapp = vappCapture([captured]);
    const bodies = { 'vapp.xml': ovfDescriptor(vapp, [vm]), 'vm.xml': ovfDescriptor({ ...vapp, kind: 'standalone-vm' }, [vm]) };
    const lines = Object.entries(bodies).map(([file, text]) => {
      writeFileSync(join(folder, file), text);
      return JSON.stringify({ file, kind: 'response', fromService: true, method: 'GET', path: file, status: 200 });
    });
    writeFileSync(join(folder, 'index.jsonl'), `${lines.join('\n')}\n`);
    const { stdout, stderr } = spawnSync(process.execPath, [RUN, folder], { encoding: 'utf8' });
    if (stdout.startsWith('skipped schema:')) return context.skip(stdout.trim());
    expect(stderr).toBe('');
    expect(stdout).toContain('0 request bodies and 2 answers are valid');
    expect(stdout).not.toContain('FAILED');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
