import { randomBytes } from 'node:crypto';

/** The text part of a VMDK (VMware Virtual Disk Format 5.0), as ESXi writes it on a datastore. */
export interface VmdkDescriptor {
  contentId: string;
  /** ffffffff for a base disk. */
  parentContentId: string;
  createType: 'vmfs' | 'seSparse';
  parentFileName: string | undefined;
  extent: { sectors: number; kind: 'VMFS' | 'SESPARSE'; fileName: string };
  changeTrackPath: string | undefined;
  /** Disk database: adapterType, uuid, thinProvisioned, geometry … without the prefix "ddb.". */
  database: Record<string, string>;
}

export const NO_PARENT = 'ffffffff';
/** The largest virtual disk there is has 62 TiB. */
const MOST_SECTORS = 2 ** 37;

/** ffffffff means "none" and fffffffe is reserved, so neither is ever drawn. */
export function newContentId(): string {
  return (randomBytes(4).readUInt32BE() % 0xfffffffe).toString(16).padStart(8, '0');
}

export function formatDescriptor(descriptor: VmdkDescriptor): string {
  const lines = [
    '# Disk DescriptorFile',
    'version=1',
    'encoding="UTF-8"',
    `CID=${descriptor.contentId}`,
    `parentCID=${descriptor.parentContentId}`,
    `createType="${descriptor.createType}"`,
  ];
  if (descriptor.parentFileName !== undefined) lines.push(`parentFileNameHint="${descriptor.parentFileName}"`);
  const { sectors, kind, fileName } = descriptor.extent;
  lines.push('# Extent description', `RW ${sectors} ${kind} "${fileName}"`, '');
  if (descriptor.changeTrackPath !== undefined) lines.push('# Change Tracking File', `changeTrackPath="${descriptor.changeTrackPath}"`, '');
  lines.push('# The Disk Data Base ', '#DDB', '');
  for (const key of Object.keys(descriptor.database).sort()) lines.push(`ddb.${key} = "${descriptor.database[key]}"`);
  return `${lines.join('\n')}\n`;
}

/** @throws Error naming what is missing. */
export function parseDescriptor(text: string, path: string): VmdkDescriptor {
  const values = new Map<string, string>();
  // Without a prototype: a key may have any name.
  const database = Object.create(null) as Record<string, string>;
  let extent: VmdkDescriptor['extent'] | undefined;
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const extentMatch = /^(?:RW|RDONLY) (\d+) (VMFS|SESPARSE) "([^"]+)"/.exec(line);
    if (extentMatch) {
      extent = { sectors: Number(extentMatch[1]), kind: extentMatch[2] as 'VMFS' | 'SESPARSE', fileName: extentMatch[3] as string };
      continue;
    }
    const pair = /^([\w.]+)\s*=\s*"?([^"]*)"?$/.exec(line);
    if (!pair) continue;
    const [, key = '', value = ''] = pair;
    if (key.startsWith('ddb.')) database[key.slice(4)] = value;
    else values.set(key, value);
  }
  const createType = values.get('createType');
  const contentId = values.get('CID');
  if (extent && extent.sectors > MOST_SECTORS) throw new Error(`${path} is larger than a disk can be`);
  if (!extent || !contentId || (createType !== 'vmfs' && createType !== 'seSparse')) {
    throw new Error(`${path} is not a VMDK descriptor of a vmfs or seSparse disk`);
  }
  return {
    contentId,
    parentContentId: values.get('parentCID') ?? NO_PARENT,
    createType,
    parentFileName: values.get('parentFileNameHint'),
    extent,
    changeTrackPath: values.get('changeTrackPath'),
    database,
  };
}

/** "6000C29a-…" in the form ddb.uuid has: sixteen bytes, a dash in the middle. */
export function formatDatabaseUuid(uuid: string): string {
  const hex = uuid.replace(/-/g, '').toLowerCase();
  const bytes = hex.match(/../g) ?? [];
  return `${bytes.slice(0, 8).join(' ')}-${bytes.slice(8).join(' ')}`;
}
