import { SECTOR_BYTES } from '../common/index.js';
import { type AllocatedGrains, GRAIN_BYTES, STRETCH_GRAINS } from './allocated-grains.js';
import { type ByteSource, computedTable, concatenate, fixedBytes, padded } from './byte-source.js';
import { grainData } from './grain-data.js';
import { stretchSource } from './stretch-source.js';
import {
  assertFitsVmdk,
  capacitySectorsOf,
  DESCRIPTOR_SECTOR,
  DESCRIPTOR_SECTORS,
  directorySectorsOf,
  encodeDescriptor,
  encodeSparseHeader,
  GRAIN_SECTORS,
  TABLE_SECTORS,
  tableCountOf,
  type VmdkLabels,
} from './vmdk-header.js';

/** Of a stretch of grains. */
const TABLE_BYTES = STRETCH_GRAINS * 4;

/**
 * monolithicSparse: header, descriptor, directory and tables twice, then the grains. As in a disk that VMware makes,
 * every grain table is there, whether a grain of it is or not.
 * @param what for errors: `Hard disk 1 of VM "web-1"`.
 * @throws ImageError IMAGE_CAPACITY_INVALID, IMAGE_TOO_LARGE.
 */
export function sparseVmdk(grains: AllocatedGrains, labels: VmdkLabels, what: string): ByteSource {
  const capacitySectors = capacitySectorsOf(grains.reader.capacityBytes, what);
  const tableCount = tableCountOf(grains);
  const directorySectors = directorySectorsOf(tableCount);
  const setSectors = directorySectors + tableCount * TABLE_SECTORS;
  const redundantDirectorySector = DESCRIPTOR_SECTOR + DESCRIPTOR_SECTORS;
  const directorySector = redundantDirectorySector + setSectors;
  const overheadSectors = Math.ceil((directorySector + setSectors) / GRAIN_SECTORS) * GRAIN_SECTORS;
  assertFitsVmdk(overheadSectors + grains.allocated * GRAIN_SECTORS, what);

  const header = encodeSparseHeader({
    kind: 'monolithicSparse',
    capacitySectors,
    redundantDirectorySector,
    directorySector,
    overheadSectors,
  });
  const tables = grainTables(grains, tableCount, overheadSectors);
  const set = (atSector: number) => {
    const firstTable = atSector + directorySectors;
    const directory = computedTable(tableCount, 4, (into, offset, i) => into.writeUInt32LE(firstTable + i * TABLE_SECTORS, offset));
    return concatenate([padded(directory, SECTOR_BYTES), tables]);
  };
  const overhead = concatenate([
    fixedBytes(header),
    fixedBytes(encodeDescriptor('monolithicSparse', capacitySectors, labels)),
    set(redundantDirectorySector),
    set(directorySector),
  ]);
  return concatenate([padded(overhead, GRAIN_BYTES), grainData(grains)]);
}

function grainTables(grains: AllocatedGrains, tableCount: number, firstGrainSector: number): ByteSource {
  const sizeBytes = tableCount * TABLE_SECTORS * SECTOR_BYTES;
  return stretchSource({
    grains,
    // The last stretch has the tables the disk has, and no more.
    offsetOf: (stretchIndex) => Math.min(sizeBytes, stretchIndex * TABLE_BYTES),
    write: (stretch, fromBytes, toBytes) => {
      const table = Buffer.alloc(TABLE_BYTES);
      const firstSector = firstGrainSector + grains.before(stretch.index) * GRAIN_SECTORS;
      stretch.grains.forEach((grain, i) => {
        table.writeUInt32LE(firstSector + i * GRAIN_SECTORS, (grain % STRETCH_GRAINS) * 4);
      });
      return [table.subarray(fromBytes, toBytes)];
    },
  });
}
