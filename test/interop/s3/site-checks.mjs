/** Collections, locks, a second site and the tools, with a repository on a real server. */
import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DeleteObjectCommand, HeadObjectCommand, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { openStore, peer } from './store-checks.mjs';

const CHUNK_BYTES = 64 * 1024;
const ORGANIZATION = 'urn:vcloud:org:1';
const NOW = { graceMs: 0 };

/** Different for every chunk, and nothing that compresses to almost nothing. */
const chunkOf = (seed, index) => {
  const blocks = [];
  for (let i = 0; i < CHUNK_BYTES / 64; i += 1)
    blocks.push(
      createHmac('sha512', seed)
        .update(`${index}/${i >> 2}`)
        .digest(),
    );
  return Buffer.concat(blocks);
};
const chunksOf = (seed, count, every = 1) =>
  new Map(Array.from({ length: count }, (_, i) => [i, chunkOf(seed, i)]).filter(([i]) => i % every === 0));

async function backUp(repository, restorePointId, chunks) {
  const session = await repository.beginSession(ORGANIZATION, restorePointId);
  const writer = await session.openDisk({ diskId: 'd', capacityBytes: 64 * CHUNK_BYTES, chunkBytes: CHUNK_BYTES });
  for (const [chunkIndex, bytes] of chunks) await writer.write(bytes, [{ chunkIndex, offset: 0, length: bytes.length }]);
  const disk = { diskId: 'd', ...(await writer.finish()) };
  const ref = await session.publish({ createdAt: new Date().toISOString(), disks: [disk], documents: [], content: null });
  return { ref, disk, chunks };
}

async function expectWhole(repository, { ref, disk, chunks }) {
  await repository.readManifest(ref);
  const reader = await repository.openDisk(ref, disk);
  const memory = Buffer.alloc(CHUNK_BYTES);
  for (const [chunkIndex, bytes] of chunks) {
    await reader.read(memory, [{ chunkIndex, offset: 0 }]);
    assert.ok(memory.equals(bytes), `chunk ${chunkIndex} differs`);
  }
}

async function namesOf(store, part) {
  const found = [];
  for await (const { name } of store.list('')) if (name.includes(part)) found.push(name);
  return found;
}

export async function siteChecks(checks, server, folder, modules, product) {
  const log = modules.common.silentLogger;
  const open = (store, masterKey) =>
    modules.repository.Repository.openOrCreate({ store, masterKey, log, packTargetBytes: 512 * 1024, chunkBytes: CHUNK_BYTES });
  for (const bucket of ['plain', 'locked']) await collectionChecks(checks, server, modules, open, bucket);
  await lockChecks(checks, server, modules, open);
  await secondSiteChecks(checks, server, folder, modules, open);
  await toolChecks(checks, server, folder, modules, open, product);
}

async function collectionChecks(checks, server, modules, open, bucket) {
  await checks.check(`S3 (${bucket}): collections condemn, rewrite, delete and leave every restore point whole`, async () => {
    const store = await openStore(server, modules, { bucket, prefix: 'gc' });
    const masterKey = randomBytes(32);
    const repository = await open(store, masterKey);
    const gone = await backUp(repository, 'rp-1', chunksOf('gone', 24));
    const sparse = await backUp(repository, 'rp-2', chunksOf('sparse', 24));
    const kept = await backUp(repository, 'rp-3', chunksOf('sparse', 24, 3));
    await repository.deleteManifest(gone.ref);
    await repository.deleteManifest(sparse.ref);
    const first = await repository.collectGarbage(NOW);
    assert.ok(first.condemnedPacks > 0 && first.rewrittenPacks > 0 && first.deletedPacks === 0, JSON.stringify(first));
    const second = await repository.collectGarbage(NOW);
    assert.ok(second.deletedPacks === first.condemnedPacks && second.freedBytes > 0, JSON.stringify(second));
    const other = await open(store, masterKey);
    await expectWhole(other, kept);
    assert.deepEqual((await other.verify({ mode: 'full' })).findings, []);
    assert.equal((await namesOf(store, '/gc/lock')).length, 0);
    if (bucket === 'locked') {
      // Space is freed only when the versions go.
      const client = peer(server);
      const { Versions = [], DeleteMarkers = [] } = await client.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: 'gc/orgs' }));
      const packs = [...Versions, ...DeleteMarkers].filter(({ Key }) => Key.includes('/packs/'));
      assert.equal(new Set(packs.map(({ Key }) => Key)).size, (await namesOf(store, '/packs/')).length);
      client.destroy();
    }
    await store.close();
  });
}

async function lockChecks(checks, server, modules, open) {
  await checks.check(
    'S3 (locked): every object a locked restore point needs is held by the server itself, shared packs until the latest date',
    async () => {
      const store = await openStore(server, modules, { bucket: 'locked', prefix: 'locks' });
      const repository = await open(store, randomBytes(32));
      const shared = chunksOf('shared', 12);
      const early = await backUp(repository, 'rp-1', shared);
      const late = await backUp(repository, 'rp-2', new Map([...shared, [40, chunkOf('own', 40)]]));
      const inHours = (hours) => new Date(Date.now() + hours * 3600_000);
      await repository.lockRestorePoint(early.ref, inHours(1));
      const until = await repository.lockRestorePoint(late.ref, inHours(10));
      await repository.holdRestorePoint(early.ref);
      assert.equal((await repository.holdLocked()).restorePoints, 2);
      const client = peer(server);
      const needed = [...(await namesOf(store, '/packs/')), ...(await namesOf(store, 'keys/')), 'repository.json'];
      let latest = 0;
      for (const name of needed) {
        const head = await client.send(new HeadObjectCommand({ Bucket: 'locked', Key: `locks/${name}` }));
        assert.ok(head.ObjectLockRetainUntilDate > new Date(), name);
        if (head.ObjectLockRetainUntilDate.getTime() === until.getTime()) latest += 1;
        await assert.rejects(
          client.send(new DeleteObjectCommand({ Bucket: 'locked', Key: `locks/${name}`, VersionId: head.VersionId })),
          name,
        );
        await assert.rejects(store.delete(name), (error) => error.code === 'BLOB_LOCKED');
      }
      assert.ok(latest >= 4, `${latest} objects are held until the latest date`);
      client.destroy();
      await assert.rejects(repository.deleteManifest(late.ref), (error) => error.code === 'RESTORE_POINT_LOCK_CONFLICT');
      await assert.rejects(repository.shredOrganization(ORGANIZATION), (error) => error.code === 'RESTORE_POINT_LOCK_CONFLICT');
      for (let run = 0; run < 2; run += 1) await repository.collectGarbage(NOW);
      await expectWhole(repository, early);
      await expectWhole(repository, late);
      await store.close();
    },
  );
}

async function secondSiteChecks(checks, server, folder, modules, open) {
  const { FolderStore, SecondSite, TwoSites } = modules.repository;
  const log = modules.common.silentLogger;
  await checks.check('S3: as second site of a folder it gets copies, gives what the first has lost, and heals it', async () => {
    const masterKey = randomBytes(32);
    const firstFolder = join(folder, 'first-site');
    mkdirSync(firstFolder);
    const firstStore = await FolderStore.open(firstFolder);
    const first = await open(firstStore, masterKey);
    const one = await backUp(first, 'rp-1', chunksOf('one', 12));
    const two = await backUp(first, 'rp-2', chunksOf('two', 12));
    const openStoreThere = () => openStore(server, modules, { bucket: 'plain', prefix: 'second' });
    const site = () => new SecondSite(first, { masterKey, log }, { openStore: openStoreThere, keepDeletedMs: 0, log });
    const sites = new TwoSites(first, site(), log);
    const report = await sites.secondSite.copy();
    assert.deepEqual(report.copied.sort(), ['rp-1', 'rp-2']);
    assert.equal((await sites.secondSite.copy()).copiedPacks, 0);
    const [pack] = await namesOf(firstStore, '/packs/');
    const bytes = readFileSync(join(firstFolder, pack));
    bytes[200] ^= 1;
    writeFileSync(join(firstFolder, pack), bytes);
    const fresh = new TwoSites(await open(firstStore, masterKey), site(), log);
    await expectWhole(fresh, one);
    await expectWhole(fresh.at('second'), two);
    const { findings, healed } = await fresh.verify({ mode: 'full' });
    assert.deepEqual(findings, []);
    assert.ok(healed.length > 0);
    await expectWhole((await open(firstStore, masterKey)).at('first'), one);
    await fresh.deleteManifest(one.ref);
    assert.deepEqual((await fresh.secondSite.copy()).removed, ['rp-1']);
    await fresh.collectGarbage({ ...NOW, site: 'second' });
    assert.ok((await fresh.collectGarbage({ ...NOW, site: 'second' })).deletedPacks > 0);
    await expectWhole(fresh.at('second'), two);
    await fresh.shredOrganization(ORGANIZATION);
    const second = await openStoreThere();
    assert.deepEqual([...(await namesOf(second, 'keys/')), ...(await namesOf(second, 'orgs/'))], []);
    for (const each of [sites, fresh]) await each.secondSite.close();
    await second.close();
  });
}

async function toolChecks(checks, server, folder, modules, open, product) {
  const { extract } = await product('src/extract.js');
  const { keys } = await product('src/keys.js');
  await checks.check('S3: vapp-vault-extract restores a disk from the bucket, and vapp-vault-keys changes its master key', async () => {
    const masterKey = randomBytes(32);
    const store = await openStore(server, modules, { bucket: 'plain', prefix: 'tools' });
    const stored = await backUp(await open(store, masterKey), 'rp-1', chunksOf('tools', 12));
    await store.close();
    const file = (name, text) => {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
      return join(folder, name);
    };
    const key = file('tools.key', `${masterKey.toString('base64')}\n`);
    const credentials = file(
      'tools.credentials',
      `[default]\naws_access_key_id = ${server.accessKeyId}\naws_secret_access_key = ${server.secretAccessKey}\n`,
    );
    const place = [
      '--repository',
      's3://plain/tools',
      '--s3-endpoint',
      server.endpoint,
      '--s3-ca-file',
      server.caFile,
      '--s3-credentials-file',
      credentials,
    ];
    const run = async (tool, ...parameters) => {
      const said = [];
      const code = await tool(
        [...parameters],
        (line) => said.push(line),
        (line) => said.push(line),
      );
      assert.equal(code, 0, said.join('\n'));
      return said.join('\n');
    };
    const image = join(folder, 'tools.raw');
    await run(extract, 'disk', ...place, '--key-file', key, '--restore-point', 'rp-1', '--disk', 'd', '--output', image);
    const bytes = readFileSync(image);
    for (const [i, chunk] of stored.chunks)
      assert.ok(bytes.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES).equals(chunk), `chunk ${i} differs`);
    const next = join(folder, 'tools.next');
    await run(keys, 'rotate', ...place, '--key-file', key, '--new-key-file', next);
    const paper = file('tools.paper', await run(keys, 'recovery', ...place, '--key-file', next));
    const again = join(folder, 'tools.again');
    await run(keys, 'recover', ...place, '--recovery-key-file', paper, '--new-key-file', again);
    assert.equal(readFileSync(again, 'utf8'), readFileSync(next, 'utf8'));
    await run(extract, 'verify', ...place, '--key-file', again);
  });
}
