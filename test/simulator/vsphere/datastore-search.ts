import { readdir, stat } from 'node:fs/promises';
import { parseDatastorePath } from '../datastore/index.js';
import { booleanAt, listAt, moRef, objectAt, vim, type VimObject } from '../model/vim.js';
import { SimFault } from '../model/vsphere-types.js';
import { argument, task, type Call, type Handler } from './call.js';

const MAX_DEPTH = 32;
/** What a disk is made of; the browser tells of the disk once, by its descriptor, when it is asked for disks. */
const DISK_PARTS = /-(flat|sesparse|delta|ctk)\.vmdk$/;
const KINDS: readonly (readonly [RegExp, string, string])[] = [
  [/\.vmdk$/, 'VmDiskFileInfo', 'VmDiskFileQuery'],
  [/\.vmx$/, 'VmConfigFileInfo', 'VmConfigFileQuery'],
  [/\.nvram$/, 'VmNvramFileInfo', 'VmNvramFileQuery'],
  [/\.(vmsn|vmsd)$/, 'VmSnapshotFileInfo', 'VmSnapshotFileQuery'],
  [/\.log$/, 'VmLogFileInfo', 'VmLogFileQuery'],
  [/\.iso$/, 'IsoImageFileInfo', 'IsoImageFileQuery'],
  [/\.flp$/, 'FloppyImageFileInfo', 'FloppyImageFileQuery'],
];

/** HostDatastoreBrowser: one folder, or a folder and everything below it. */
export const searchDatastoreOperations: Record<string, Handler> = {
  SearchDatastore_Task: (call) => search(call, 'SearchDatastore_Task', async (path) => folderResult(call, path)),
  SearchDatastoreSubFolders_Task: (call) =>
    search(call, 'SearchDatastoreSubFolders_Task', async (path) => {
      const results: VimObject[] = [];
      await visit(call, path, MAX_DEPTH, results);
      return { $type: 'ArrayOfHostDatastoreBrowserSearchResults', HostDatastoreBrowserSearchResults: results };
    }),
};

function search(call: Call, operation: string, work: (path: string) => Promise<VimObject>) {
  const path = argument(call, 'datastorePath') ?? '';
  call.core.model.inventory.absolutePath(path);
  const datastore = moRef('Datastore', call.self.value.replace('datastoreBrowser-', ''));
  return task(call, operation, datastore, path, () => work(path));
}

async function visit(call: Call, path: string, depth: number, results: VimObject[]): Promise<void> {
  results.push(await folderResult(call, path));
  if (depth === 0) return;
  const entries = await readdir(call.core.model.inventory.absolutePath(path), { withFileTypes: true });
  for (const entry of entries.filter((each) => each.isDirectory()))
    await visit(call, `${folderPath(path)}${entry.name}`, depth - 1, results);
}

async function folderResult(call: Call, path: string): Promise<VimObject> {
  const spec = call.args.searchSpec as VimObject | undefined;
  const absolute = call.core.model.inventory.absolutePath(path);
  const names = await readdir(absolute).catch(() => {
    throw new SimFault('FileNotFound', `File ${path} was not found`, { file: path });
  });
  const file: VimObject[] = [];
  for (const name of names.filter((each) => matches(spec, each)).sort()) {
    const found = await describe(`${absolute}/${name}`, name, spec);
    if (found) file.push(found);
  }
  return vim('HostDatastoreBrowserSearchResults', {
    datastore: moRef('Datastore', call.core.model.inventory.datastoreMoRef(parseDatastorePath(path)?.datastore ?? '')),
    folderPath: folderPath(path),
    file,
  });
}

/** vCenter ends the folder's name with a slash; the datastore's own folder is "[ds]" and a space here. */
function folderPath(path: string): string {
  const { datastore = '', file = '' } = parseDatastorePath(path) ?? {};
  const folder = file.replace(/\/+$/, '');
  return folder === '' ? `[${datastore}] ` : `[${datastore}] ${folder}/`;
}

function matches(spec: VimObject | undefined, name: string): boolean {
  const patterns = (spec?.matchPattern as string[] | undefined) ?? ['*'];
  const flags = spec && booleanAt(spec, 'searchCaseInsensitive') === false ? '' : 'i';
  return patterns.some((pattern) => glob(pattern, flags).test(name));
}

function glob(pattern: string, flags: string): RegExp {
  const text = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');
  return new RegExp(`^${text}$`, flags);
}

async function describe(path: string, name: string, spec: VimObject | undefined): Promise<VimObject | undefined> {
  const queries = new Set((spec ? listAt(spec, 'query') : []).map((query) => query.$type));
  const info = await stat(path).catch(() => undefined);
  if (!info) return undefined; // deleted meanwhile
  const isPart = DISK_PARTS.test(name);
  const kind = info.isDirectory() ? undefined : KINDS.find(([pattern]) => pattern.test(name));
  const query = info.isDirectory() ? 'FolderFileQuery' : (kind?.[2] ?? 'FileQuery');
  if (queries.size > 0 && !queries.has('FileQuery') && (isPart || !queries.has(query))) return undefined;
  const details = spec && objectAt(spec, 'details');
  const wants = (flag: string): boolean => details !== undefined && booleanAt(details, flag) === true;
  const type = info.isDirectory() ? 'FolderFileInfo' : isPart ? 'FileInfo' : (kind?.[1] ?? 'FileInfo');
  return vim(wants('fileType') ? type : 'FileInfo', {
    path: name,
    fileSize: wants('fileSize') ? info.size : undefined,
    modification: wants('modification') ? info.mtime.toISOString() : undefined,
    owner: wants('fileOwner') ? 'root' : undefined,
  });
}
