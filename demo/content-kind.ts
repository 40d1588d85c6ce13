import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { ControlClient } from './control-client.js';

export type ContentKind = 'ext4' | 'pattern';

export const CONTENT_TEXT: Record<ContentKind, string> = {
  ext4: 'ext4 file systems with files; each is checked with e2fsck after a restore',
  pattern: 'a deterministic pattern, because this machine has no mke2fs (package e2fsprogs); no file system can be checked',
};

interface State {
  vapps: { name: string; vms: { moRef: string }[] }[];
  vcenterVms: { moRef: string; disks: { path: string }[] }[];
  datastores: { name: string; directory: string }[];
}

/** Looks at the first disk's extent: an ext4 superblock has the magic number EF53 at 1024 + 56 (ext4 disk layout). */
export async function contentKind(control: ControlClient, vappName: string): Promise<ContentKind> {
  const state = await control.state<State>();
  const moRef = state.vapps.find((vapp) => vapp.name === vappName)?.vms[0]?.moRef;
  const path = state.vcenterVms.find((vm) => vm.moRef === moRef)?.disks[0]?.path ?? '';
  const [, datastoreName, file = ''] = /^\[(.+?)\] (.+)$/.exec(path) ?? [];
  const datastore = state.datastores.find(({ name }) => name === datastoreName);
  if (datastore === undefined) throw new Error(`The first disk of "${vappName}" (${path}) lies in no datastore of the simulated cloud`);
  const disk = await open(join(datastore.directory, file.replace(/\.vmdk$/, '-flat.vmdk')));
  try {
    const { buffer } = await disk.read(Buffer.alloc(2), 0, 2, 1080);
    return buffer.readUInt16LE(0) === 0xef53 ? 'ext4' : 'pattern';
  } finally {
    await disk.close();
  }
}
