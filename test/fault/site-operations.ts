import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunView } from '../../src/jobs/index.js';
import { SHOP } from './fault-seed.js';
import { type FaultWorld, type Site, siteDir } from './fault-world.js';
import { backUp, packs } from './maintenance-operations.js';
import type { Operation } from './operation.js';

/** Into the first record of a pack, behind both headers. */
const HARMED_BYTE = 64 + 56 + 3;

/** What the catalog does not know of the repository, brought into it. */
class CatalogRebuild implements Operation {
  readonly name = 'rebuild-catalog';
  /** Until the next one: it is what this is for. */
  readonly catalogFollows = false;
  private readonly unknown = new WeakMap<FaultWorld, string>();

  async bringTo(world: FaultWorld): Promise<void> {
    await world.spoil();
    await backUp(world);
    await world.points.check(await world.points.contentNow());
    const [newest] = await world.world.restorePoints();
    const id = String(newest?.id);
    world.points.mayGo([id]);
    this.unknown.set(world, id);
    await world.query('DELETE FROM restore_points WHERE id = $1', [id]);
  }

  ask({ world }: FaultWorld): Promise<RunView> {
    return world.api.post<RunView>('/api/v1/repository/rebuild-catalog', {});
  }

  vapps(): readonly string[] {
    return [SHOP];
  }

  async assertReached(world: FaultWorld): Promise<void> {
    const id = this.unknown.get(world) as string;
    assert.ok(
      (await world.world.restorePoints()).some((point) => point.id === id),
      `restore point ${id} is in the repository and not in the catalog`,
    );
  }

  assertUndisturbed({ result }: RunView): void {
    assert.equal(result?.adopted, 1);
  }

  async clearAway(world: FaultWorld): Promise<void> {
    await world.points.keepFew();
  }
}

/** What the second site lacks, copied there, and what is gone from the first, removed there. */
class Copy implements Operation {
  readonly name = 'second-site';
  readonly doorBefore = 'second';
  private readonly begun = new WeakSet<FaultWorld>();

  async bringTo(world: FaultWorld): Promise<void> {
    // The second site is made by the first copy: each one that is tried finds one there.
    if (!this.begun.has(world)) await copy(world);
    this.begun.add(world);
    await world.spoil();
    await backUp(world);
    await copy(world);
    const [leaving] = await world.world.restorePoints();
    await world.world.api.delete(`/api/v1/restore-points/${leaving?.id}`);
    await world.spoil();
    await backUp(world);
  }

  ask(world: FaultWorld): Promise<RunView> {
    return askForCopy(world);
  }

  vapps(): readonly string[] {
    return [SHOP];
  }

  async assertReached(world: FaultWorld, { result }: RunView): Promise<void> {
    assert.equal(result?.notCopied, 0, `not all is copied: ${JSON.stringify(result)}`);
    const points = await world.world.restorePoints();
    const uncopied = points.filter(({ copiedAt }) => copiedAt === null || copiedAt === undefined);
    assert.deepEqual(
      uncopied.map(({ id }) => id),
      [],
      'the catalog says of restore points that they are not copied',
    );
    assert.deepEqual(await manifests(world, 'second'), await manifests(world, 'first'), 'the sites have different restore points');
    const verified = await verify(world, 'second');
    assert.deepEqual([verified?.damaged, verified?.healed], [0, []], `the second site is damaged: ${JSON.stringify(verified)}`);
  }

  assertUndisturbed({ result }: RunView): void {
    assert.equal(countOf(result?.copied), 1, 'it copies nothing');
    assert.equal(countOf(result?.removed), 1, 'it removes nothing');
  }

  async clearAway(world: FaultWorld): Promise<void> {
    await world.points.keepFew();
  }
}

/** A verification that finds damage and heals it from the second site. */
class Verification implements Operation {
  readonly name = 'verify';
  readonly doorBefore = 'first';

  async bringTo(world: FaultWorld): Promise<void> {
    const before = new Set(await packs(world));
    await world.spoil();
    await backUp(world);
    await copy(world);
    const [pack] = (await packs(world)).filter((name) => !before.has(name)).sort();
    assert.ok(pack !== undefined, 'a backup of what has changed made no pack');
    const path = join(siteDir(world.world, 'first'), pack);
    const bytes = await readFile(path);
    bytes.writeUInt8(bytes.readUInt8(HARMED_BYTE) ^ 1, HARMED_BYTE);
    await writeFile(path, bytes);
  }

  ask(world: FaultWorld): Promise<RunView> {
    return askToVerify(world, 'first');
  }

  vapps(): readonly string[] {
    return [SHOP];
  }

  /** One that could not store what it fetched says so, and the next one heals it. */
  async assertReached(world: FaultWorld, { result }: RunView): Promise<void> {
    const verified = await verify(world, 'first');
    assert.equal(verified?.damaged, 0, `damage is not healed: ${JSON.stringify(verified)}`);
    if (result?.damaged === 0) assert.deepEqual(verified?.healed, [], 'what was said to be healed was not');
  }

  assertUndisturbed({ result }: RunView): void {
    assert.equal(result?.damaged, 0, 'it does not heal');
    assert.ok(countOf(result?.healed) > 0, 'it finds no damage');
  }

  async clearAway(world: FaultWorld): Promise<void> {
    await world.points.keepFew();
  }
}

function askForCopy({ world }: FaultWorld): Promise<RunView> {
  return world.api.post<RunView>('/api/v1/repository/copies', {});
}

async function copy(world: FaultWorld): Promise<void> {
  const run = await world.world.ended(await askForCopy(world));
  assert.equal(run.error, null, `copying: ${JSON.stringify(run.error)}`);
}

function askToVerify({ world }: FaultWorld, site: Site): Promise<RunView> {
  return world.api.post<RunView>('/api/v1/repository/verify', { mode: 'full', site });
}

async function verify(world: FaultWorld, site: Site): Promise<RunView['result']> {
  const run = await world.world.ended(await askToVerify(world, site));
  assert.equal(run.error, null, `verifying: ${JSON.stringify(run.error)}`);
  return run.result;
}

function countOf(list: unknown): number {
  return Array.isArray(list) ? list.length : 0;
}

async function manifests({ world }: FaultWorld, site: Site): Promise<string[]> {
  const files = await readdir(siteDir(world, site), { recursive: true });
  return files.filter((file) => /(?:^|\/)manifests\/[0-9a-f-]{36}$/.test(file)).sort();
}

export const siteOperations: readonly Operation[] = [new Verification(), new Copy(), new CatalogRebuild()];
