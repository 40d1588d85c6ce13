import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const TIB = 1024 * GIB;
const CHUNK_BYTES = 256 * KIB;
const CHUNKS_PER_WRITE = 16;
const COMPARED = ['raw', 'vmdk', 'vmdk-stream-optimized', 'ova-disk', 'qcow2'];

/** The byte a chunk of the largest disk is full of. */
export const patternOf = (chunkIndex) => 1 + (chunkIndex % 251);

/**
 * Disks in a real repository: one of ordinary size with all that is odd, one past 2 TiB, one as large as vSphere makes them.
 * @returns name, reader, formats, the chunks that hold data, and whether it is too large to be compared as a whole.
 */
export async function makeDisks(folder, { repository, common }) {
  const store = await repository.FolderStore.open(join(folder, 'repository'));
  const options = { store, masterKey: randomBytes(32), log: common.silentLogger };
  const opened = await repository.Repository.create({ ...options, chunkBytes: CHUNK_BYTES });
  const random = (below, i) => createHash('sha256').update(String(i)).digest().readUInt32LE(0) % below;
  const wanted = [
    {
      name: 'ordinary',
      capacityBytes: 3 * GIB + 512,
      // Runs, single ones, and the last sector, which is a chunk of its own.
      chunks: [0, 1, 2, 3, 2047, 2048, 12288, ...Array.from({ length: 160 }, (_, i) => random(12288, i))],
      fill: mixed,
      formats: COMPARED,
    },
    {
      name: 'past-2-tib',
      capacityBytes: 2 * TIB + GIB + 512,
      chunks: [0, 2 ** 22 + 9, 2 ** 23 - 1, 2 ** 23, 2 ** 23 + 5, 2 ** 23 + 2 ** 12],
      fill: mixed,
      formats: COMPARED,
      windows: [
        { offsetBytes: 0, sizeBytes: GIB },
        { offsetBytes: TIB, sizeBytes: GIB },
        { offsetBytes: 2 * TIB - GIB, sizeBytes: 2 * GIB + 512 },
      ],
    },
    {
      name: '62-tib',
      capacityBytes: 62 * TIB,
      chunks: [0, 2 ** 23, 31 * 2 ** 22 + 17, 62 * 2 ** 22 - 1],
      fill: (chunkIndex, bytes) => bytes.fill(patternOf(chunkIndex)),
      formats: ['vmdk', 'ova-disk', 'qcow2'],
      qemuIo: true,
    },
  ];
  const disks = [];
  for (const disk of wanted) disks.push(await storeDisk(opened, disk));
  return disks;
}

/** Half a chunk of noise, some zeros (whole grains of them), and text: what compresses, what does not, what is not there. */
function mixed(chunkIndex, bytes) {
  let seed = createHash('sha512').update(String(chunkIndex)).digest();
  for (let at = 0; at < bytes.length / 2; at += seed.length) {
    seed.copy(bytes, at);
    if (at % 4096 === 0) seed = createHash('sha512').update(seed).digest();
  }
  bytes.fill(`chunk ${chunkIndex} `, Math.floor((bytes.length * 3) / 4));
}

async function storeDisk(opened, { name, capacityBytes, chunks, fill, formats, windows, qemuIo = false }) {
  const organizationId = 'urn:vcloud:org:00000000-0000-4000-8000-000000000001';
  const session = await opened.beginSession(organizationId, `point-${name}`);
  const writer = await session.openDisk({ diskId: name, capacityBytes, chunkBytes: CHUNK_BYTES });
  const indices = [...new Set(chunks)].toSorted((a, b) => a - b);
  for (let first = 0; first < indices.length; first += CHUNKS_PER_WRITE) {
    const some = indices.slice(first, first + CHUNKS_PER_WRITE);
    const memory = Buffer.alloc(some.length * CHUNK_BYTES);
    const placed = some.map((chunkIndex, i) => {
      const length = Math.min(CHUNK_BYTES, capacityBytes - chunkIndex * CHUNK_BYTES);
      fill(chunkIndex, memory.subarray(i * CHUNK_BYTES, i * CHUNK_BYTES + length));
      return { chunkIndex, offset: i * CHUNK_BYTES, length };
    });
    await writer.write(memory, placed);
  }
  const disk = { diskId: name, ...(await writer.finish()) };
  const ref = await session.publish({ createdAt: new Date().toISOString(), disks: [disk], documents: [], content: {} });
  return { name, formats, windows, qemuIo, chunks: indices, reader: await opened.openDisk(ref, disk) };
}
