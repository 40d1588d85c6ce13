import type { Consistency } from './quiescing.js';

const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
const END_BYTES = 22;
const ENTRY_BYTES = 46;
/** A ZIP may end with a comment of so many bytes. */
const LONGEST_COMMENT = 65_535;

/**
 * What VSS did, by the documents it left: the backup components document alone means that file systems were quiesced,
 * writers' documents beside it that applications were (guide, chapter 7, "Application-Consistent Backup and Restore").
 * @param manifest vss-manifest.zip
 * @returns undefined when it is no ZIP, or an empty one.
 */
export function achievedByVss(manifest: Buffer): Exclude<Consistency, 'crash'> | undefined {
  const documents = zipNames(manifest)?.filter((name) => !name.endsWith('/')) ?? [];
  if (documents.length === 0) return undefined;
  return documents.length > 1 ? 'application' : 'file-system';
}

/** The names in a ZIP's central directory (PKWARE APPNOTE 4.3.12); undefined when there is none. */
export function zipNames(zip: Buffer): string[] | undefined {
  const end = findEnd(zip);
  if (end === undefined) return undefined;
  const count = zip.readUInt16LE(end + 10);
  const names: string[] = [];
  let at = zip.readUInt32LE(end + 16);
  for (let i = 0; i < count; i += 1) {
    if (at + ENTRY_BYTES > zip.length || zip.readUInt32LE(at) !== DIRECTORY_ENTRY) return undefined;
    const nameBytes = zip.readUInt16LE(at + 28);
    names.push(zip.toString('utf8', at + ENTRY_BYTES, at + ENTRY_BYTES + nameBytes));
    at += ENTRY_BYTES + nameBytes + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
  return names;
}

function findEnd(zip: Buffer): number | undefined {
  const lowest = Math.max(0, zip.length - END_BYTES - LONGEST_COMMENT);
  for (let at = zip.length - END_BYTES; at >= lowest; at -= 1) if (zip.readUInt32LE(at) === END_OF_DIRECTORY) return at;
  return undefined;
}
