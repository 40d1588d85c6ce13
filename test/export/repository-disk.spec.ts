import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AllocatedGrains, deflatedStream, qcow2Image, rawImage, sparseVmdk, storedStream } from '../../src/image/index.js';
import { collect, readSource } from '../../src/image/testing.js';
import { fetcher, type GrainReader, openQcow2, openSparseVmdk, openStream } from '../../src/image/testing-readers.js';
import type { DiskReader } from '../../src/repository/index.js';
import { backUp, CHUNK_BYTES, makeWorkspace, pattern, type Workspace } from '../repository/fixture.js';

const TIB = 2 ** 40;
const CHUNKS_PER_PAGE = 4096;
const CAPACITY_BYTES = 3 * TIB + 512;
const LAST = (3 * TIB) / CHUNK_BYTES;
const PAST_2_TIB = (2 * TIB) / CHUNK_BYTES;

/** Grains and chunks are of one size here: a grain is a chunk. */
describe('a disk past 2 TiB, out of a repository', () => {
  const chunks = new Map([0, 1, PAST_2_TIB - 1, PAST_2_TIB, PAST_2_TIB + CHUNKS_PER_PAGE + 3].map((i) => [i, pattern('export', i)]));
  chunks.set(LAST, pattern('export', LAST, 512));
  const expected = (index: number) => Buffer.concat([chunks.get(index) ?? Buffer.alloc(0), Buffer.alloc(CHUNK_BYTES)], CHUNK_BYTES);
  const labels = { fileName: 'disk.vmdk', contentId: 7 };
  let workspace: Workspace;
  let reader: DiskReader;
  let grains: AllocatedGrains;

  beforeAll(async () => {
    workspace = await makeWorkspace();
    const { ref, disk } = await backUp(workspace.repository, 'rp-1', chunks, { capacityBytes: CAPACITY_BYTES });
    reader = await workspace.repository.openDisk(ref, disk);
    grains = await AllocatedGrains.survey(reader);
  });
  afterAll(() => workspace?.remove());

  const assertSame = async ({ capacity, grain }: { capacity: number; grain: GrainReader }) => {
    expect(capacity).toBe(CAPACITY_BYTES);
    for (const index of [...chunks.keys(), 2, PAST_2_TIB - 2, PAST_2_TIB + 1, LAST - 1])
      expect((await grain(index)).equals(expected(index)), `grain ${index}`).toBe(true);
  };

  it('tells its chunks from any of them on', async () => {
    const from = async (first: number) => {
      const found: number[] = [];
      for await (const page of reader.dataChunks(undefined, first)) found.push(...page);
      return found;
    };
    expect(await from(0)).toEqual([...chunks.keys()]);
    // From the page on that has it.
    expect(await from(PAST_2_TIB + 1)).toEqual([PAST_2_TIB, PAST_2_TIB + CHUNKS_PER_PAGE + 3, LAST]);
    expect(await from(PAST_2_TIB + CHUNKS_PER_PAGE)).toEqual([PAST_2_TIB + CHUNKS_PER_PAGE + 3, LAST]);
  });

  it('is the same in every format', async () => {
    const raw = rawImage(reader);
    for (const index of chunks.keys()) {
      const start = index * CHUNK_BYTES;
      const end = Math.min(CAPACITY_BYTES, start + CHUNK_BYTES);
      expect((await readSource(raw, start, end)).equals(expected(index).subarray(0, end - start))).toBe(true);
    }
    const qcow2 = qcow2Image(grains, 'the disk');
    await assertSame(await openQcow2(fetcher(qcow2), qcow2.sizeBytes));
    await assertSame(await openSparseVmdk(fetcher(sparseVmdk(grains, labels, 'the disk'))));
    await assertSame(await openStream(await readSource(storedStream(grains, labels, 'the disk'))));
    await assertSame(await openStream(await collect(deflatedStream(grains, labels, 'the disk', new AbortController().signal))));
  });
});
