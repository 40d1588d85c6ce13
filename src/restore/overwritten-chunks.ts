import type { Extent } from '../disk/index.js';

interface Grid {
  chunkBytes: number;
  capacityBytes: number;
}

/** Pages of this many indices: memory does not grow with the disk. */
const PAGE = 4096;

/** The chunks that hold a byte of these extents, ascending, each once. */
export async function* changedChunks(grid: Grid, extents: readonly Extent[]): AsyncGenerator<number[]> {
  const page: number[] = [];
  for (const index of chunksOf(grid, extents)) {
    page.push(index);
    if (page.length >= PAGE) yield page.splice(0);
  }
  if (page.length > 0) yield page;
}

/**
 * Without change tracking every chunk may differ in which the restore point has data or the disk of today has
 * something allocated: in the latter a hole of the restore point must become zeros. Elsewhere both are zero.
 *
 * @param allocated undefined when nobody can tell: then all chunks.
 */
export async function* possiblyDifferentChunks(
  grid: Grid,
  data: AsyncIterable<number[]>,
  allocated: readonly Extent[] | undefined,
): AsyncGenerator<number[]> {
  const whole = [{ offsetBytes: 0, lengthBytes: grid.capacityBytes }];
  const others = chunksOf(grid, allocated ?? whole);
  let other = others.next();
  for await (const indices of data) {
    const page: number[] = [];
    for (const index of indices) {
      while (!other.done && other.value < index) {
        page.push(other.value);
        other = others.next();
        if (page.length >= PAGE) yield page.splice(0);
      }
      if (!other.done && other.value === index) other = others.next();
      page.push(index);
    }
    if (page.length > 0) yield page;
  }
  const page: number[] = [];
  for (; !other.done; other = others.next()) {
    page.push(other.value);
    if (page.length >= PAGE) yield page.splice(0);
  }
  if (page.length > 0) yield page;
}

/** Extents are ascending and do not overlap, but two of them may share a chunk. */
function* chunksOf({ chunkBytes, capacityBytes }: Grid, extents: readonly Extent[]): Generator<number> {
  let next = 0;
  for (const { offsetBytes, lengthBytes } of extents) {
    const end = Math.min(offsetBytes + lengthBytes, capacityBytes);
    if (end <= offsetBytes) continue;
    const last = Math.floor((end - 1) / chunkBytes);
    for (let index = Math.max(next, Math.floor(offsetBytes / chunkBytes)); index <= last; index += 1) yield index;
    next = Math.max(next, last + 1);
  }
}
