import { rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type BlobRange, type BlobStore, StoreWrapper } from '../../src/repository/index.js';
import { flip, onlyFile, recordOffset } from './damage.js';
import { backUp, CHUNK_BYTES, makeWorkspace, names, ORGANIZATION, pattern, type StoredDisk, type Workspace } from './fixture.js';

const chunks = new Map(Array.from({ length: 24 }, (_, i) => [i, pattern('verify', i)]));

let workspace: Workspace;
let stored: StoredDisk;
beforeEach(async () => {
  workspace = await makeWorkspace();
  stored = await backUp(workspace.repository, 'rp-1', chunks);
});
afterEach(() => workspace.remove());

const only = (part: string) => onlyFile(workspace, part);

async function verify(mode: 'structure' | 'sample' | 'full', sampleShare?: number) {
  return (await workspace.reopen()).verify({ mode, ...(sampleShare !== undefined && { sampleShare }) });
}

/** Records of the first pack come when some of the second were asked for. */
class FirstWaitsForSecond extends StoreWrapper {
  private secondIsRead = () => {};
  private readonly secondRead = new Promise<void>((resolve) => {
    this.secondIsRead = resolve;
  });

  constructor(
    inner: BlobStore,
    private readonly packs: readonly string[],
  ) {
    super(inner);
  }

  override async get(name: string, range?: BlobRange, signal?: AbortSignal): Promise<Buffer> {
    if (range?.into && name === this.packs[1]) this.secondIsRead();
    if (range?.into && name === this.packs[0]) await this.secondRead;
    return super.get(name, range, signal);
  }
}

describe('verifying', () => {
  it('finds nothing wrong with what is well, and says how much it read', async () => {
    expect(await verify('structure')).toEqual({ restorePoints: 1, packs: 1, records: 0, bytesRead: 0, findings: [], healed: [] });
    const full = await verify('full');
    // 24 chunks, one page, one root.
    expect(full).toMatchObject({ restorePoints: 1, packs: 1, records: 26, findings: [] });
    expect(full.bytesRead).toBeGreaterThan(0);
    expect(await verify('sample', 1)).toEqual(full);
  });

  it('reads the next pack while the last batches of one are checked, and is through with them in the order of their names', async () => {
    for (let i = 2; i <= 4; i += 1) await backUp(workspace.repository, `rp-${i}`, new Map([[0, pattern('more', i)]]));
    const packs = (await names(workspace.store, 'orgs/')).filter((name) => name.includes('/packs/'));
    const store = new FirstWaitsForSecond(workspace.store, packs);
    const through: (string | undefined)[] = [];
    const onState = async (state: { after?: string }) => void through.push(state.after);
    const repository = await workspace.reopen(store);
    expect(await repository.verify({ mode: 'rolling', rolling: { share: 1, onState } })).toMatchObject({ packs: 4, findings: [] });
    expect(through).toEqual([...packs, undefined]);
  });

  it('names restore point, disk and byte range of a damaged chunk, and the next backup stores it anew', async () => {
    await backUp(workspace.repository, 'rp-2', chunks);
    await flip(
      (await names(workspace.store, 'orgs/'))
        .filter((name) => name.includes('/packs/'))
        .map((name) => join(workspace.folder, name))[0] as string,
      (bytes) => recordOffset(bytes, 5) + 70,
    );
    expect((await verify('structure')).findings).toEqual([]);
    const { findings } = await verify('full');
    expect(findings).toHaveLength(2);
    for (const [i, finding] of findings.entries()) {
      expect(finding).toMatchObject({
        organizationId: ORGANIZATION,
        kind: 'disk',
        restorePointId: `rp-${i + 1}`,
        diskId: 'disk-2000',
        damagedBytes: CHUNK_BYTES,
      });
      expect(finding.reason).toMatch(/tag is wrong/);
      expect(finding.ranges).toEqual([{ offsetBytes: expect.any(Number), lengthBytes: CHUNK_BYTES }]);
    }
    // Known by now: even the structure shows it.
    expect((await verify('structure')).findings).toHaveLength(2);
    const chunkIndex = ((findings[0]?.ranges?.[0]?.offsetBytes as number) / CHUNK_BYTES) as number;
    const again = await backUp(await workspace.reopen(), 'rp-3', new Map([[chunkIndex, chunks.get(chunkIndex) as Buffer]]));
    expect(again.tally.newChunks).toBe(1);
    expect((await verify('full')).findings.filter((finding) => finding.kind === 'disk')).toEqual([]);
  });

  it('makes an incremental on a damaged base impossible, so that the full one heals it', async () => {
    await flip(await only('packs'), (bytes) => recordOffset(bytes, 5) + 70);
    await verify('full');
    const repository = await workspace.reopen();
    await expect(backUp(repository, 'rp-2', new Map(), { base: stored.disk })).rejects.toMatchObject({ code: 'BASE_INCOMPLETE' });
    expect((await backUp(repository, 'rp-3', chunks)).tally.newChunks).toBe(1);
    expect((await backUp(repository, 'rp-4', new Map(), { base: stored.disk })).tally.newChunks).toBe(0);
  });

  it('names a missing pack and every byte that is lost with it', async () => {
    await rm(await only('packs'));
    const { findings } = await verify('structure');
    expect(findings).toMatchObject([
      { kind: 'object', name: expect.stringMatching(/^packs\//), reason: 'it is missing' },
      { kind: 'disk', restorePointId: 'rp-1', ranges: [{ offsetBytes: 0, lengthBytes: 64 * CHUNK_BYTES }] },
    ]);
  });

  it('does not take a session that ends meanwhile for damage', async () => {
    const session = await workspace.repository.beginSession(ORGANIZATION, 'rp-2');
    class EndingStore extends StoreWrapper {
      override async get(name: string, range?: BlobRange, signal?: AbortSignal): Promise<Buffer> {
        if (name.includes('/sessions/')) await session.abandon();
        return super.get(name, range, signal);
      }
    }
    const repository = await workspace.reopen(new EndingStore(workspace.store));
    expect((await repository.verify({ mode: 'structure' })).findings).toEqual([]);
  });

  it.each([
    ['a pack that is cut short', 'packs', (path: string) => truncate(path, 200_000)],
    ['an empty pack', 'packs', (path: string) => truncate(path, 0)],
    ['a foreign file in place of a pack', 'packs', (path: string) => writeFile(path, Buffer.alloc(100_000, 'foreign'))],
    ['a flipped bit in a trailer', 'packs', (path: string) => flip(path, (bytes) => bytes.length - 200)],
    ['an index segment that is cut short', 'index', (path: string) => truncate(path, 70)],
    ['an empty index segment', 'index', (path: string) => truncate(path, 0)],
    ['a foreign index segment', 'index', (path: string) => writeFile(path, 'foreign')],
  ])('names %s', async (_what, part, harm) => {
    const path = await only(part);
    await harm(path);
    const { findings } = await verify('full');
    expect(findings[0]).toMatchObject({ kind: 'object', name: path.slice(path.indexOf(`${part}/`)) });
    await (await workspace.reopen())
      .collectGarbage({ graceMs: 0 })
      .catch((error: { code: string }) => expect(error.code).toBe('GC_BLOCKED'));
  });

  it.each([
    ['cut short', (path: string) => truncate(path, 80)],
    ['empty', (path: string) => truncate(path, 0)],
    ['foreign', (path: string) => writeFile(path, 'no manifest')],
    ['damaged', (path: string) => flip(path, (bytes) => bytes.length - 3)],
  ])('names a restore point whose manifest is %s', async (_what, harm) => {
    await harm(await only('manifests'));
    expect((await verify('structure')).findings).toMatchObject([{ kind: 'manifest', restorePointId: 'rp-1' }]);
  });

  it('tells packs that were swapped', async () => {
    const second = await backUp(workspace.repository, 'rp-2', new Map([[3, pattern('other', 3)]]));
    const [one, two] = (await names(workspace.store, 'orgs/'))
      .filter((name) => name.includes('/packs/'))
      .map((name) => join(workspace.folder, name));
    await rename(one as string, `${one}.swap`);
    await rename(two as string, one as string);
    await rename(`${one}.swap`, two as string);
    const { findings } = await verify('full');
    const points = findings.filter((finding) => finding.kind === 'disk').map((finding) => finding.restorePointId);
    expect(points).toEqual(['rp-1', second.ref.restorePointId]);
  });
});
