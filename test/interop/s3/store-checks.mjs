/** What the product's S3 store does on a real server. */
import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { CreateMultipartUploadCommand, ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';

/** The smallest part S3 allows: a large object of the suite then has several. */
const PART_BYTES = 5 * 1024 * 1024;

export async function storeChecks(checks, server, { repository, conformance, assertions, common }) {
  const open = (bucket, changes = {}) => openStore(server, { repository, common }, { bucket, ...changes });
  for (const bucket of ['plain', 'locked']) {
    let store;
    const opened = await checks.check(`S3 (${bucket}): the bucket is opened over TLS with an authority of its own`, async () => {
      store = await open(bucket, { prefix: 'vault/a' });
      assert.equal(store.enforcesRetention, bucket === 'locked');
    });
    if (!opened) continue;
    const subject = { store, reopen: () => open(bucket, { prefix: 'vault/a' }), largeBytes: 2 * PART_BYTES };
    for (const { name, run } of conformance.STORE_CONFORMANCE) await checks.check(`S3 (${bucket}): ${name}`, () => run(subject));
    await checks.check(`S3 (${bucket}): another prefix sees nothing of it`, async () => {
      const other = await open(bucket, { prefix: 'vault/ab' });
      assert.deepEqual(await assertions.listed(other, ''), []);
      await other.close();
    });
    await store.close();
  }
  await leftoverChecks(checks, server, open);
  await refusalChecks(checks, open, assertions);
}

/** An upload nobody finished is not an object, stays while it is young, and is never listed. */
async function leftoverChecks(checks, server, open) {
  await checks.check('S3: an upload in parts that was stopped leaves nothing on the server', async () => {
    const store = await open('plain', { prefix: 'stopped' });
    const controller = new AbortController();
    const putting = store.put('big', Buffer.alloc(8 * PART_BYTES, 1), { signal: controller.signal });
    setTimeout(() => controller.abort(), 60);
    await assert.rejects(putting, (error) => error.code === 'CANCELLED');
    assert.equal(await store.size('big'), undefined);
    const client = peer(server);
    const uploads = await client.send(new ListMultipartUploadsCommand({ Bucket: 'plain', Prefix: 'stopped/' }));
    assert.deepEqual(uploads.Uploads ?? [], []);
    await store.close();
    client.destroy();
  });
  await checks.check('S3: an upload another process has under way is left alone by a start', async () => {
    const client = peer(server);
    await client.send(new CreateMultipartUploadCommand({ Bucket: 'plain', Key: 'young/upload' }));
    const store = await open('plain', { prefix: 'young' });
    const uploads = await client.send(new ListMultipartUploadsCommand({ Bucket: 'plain', Prefix: 'young/' }));
    assert.equal(uploads.Uploads?.length, 1);
    await store.close();
    client.destroy();
  });
}

async function refusalChecks(checks, open, { rejects }) {
  await checks.check('S3: a wrong secret, a bucket that is not there, a strange certificate and a dead server are told apart', async () => {
    await rejects(open('plain', { secretAccessKey: 'wrong' }), 'REPOSITORY_DENIED');
    await rejects(open('plain', { accessKeyId: 'nobody' }), 'REPOSITORY_DENIED');
    await rejects(open('no-such-bucket'), 'REPOSITORY_UNREACHABLE');
    await assert.rejects(
      open('plain', { caPem: undefined }),
      (error) => error.code === 'REPOSITORY_UNREACHABLE' && /certificate/.test(error.message),
    );
    await assert.rejects(open('plain', { endpoint: 'https://127.0.0.1:9' }), (error) => error.retryable === true);
  });
}

/** Restore points on the server: written, read by another process's eyes, deleted. */
export async function repositoryChecks(checks, server, modules) {
  const { Repository, RetryingStore } = modules.repository;
  const masterKey = randomBytes(32);
  const openRepository = async () => {
    const store = await openStore(server, modules, { bucket: 'locked', prefix: 'repository' });
    const retrying = new RetryingStore(store, {
      attempts: 3,
      baseDelayMs: 10,
      maxDelayMs: 100,
      deadlineMs: 10_000,
      log: modules.common.silentLogger,
    });
    return Repository.openOrCreate({ store: retrying, masterKey, log: modules.common.silentLogger });
  };
  const chunkBytes = 256 * 1024;
  const disk = { diskId: 'disk-2000', capacityBytes: 512 * chunkBytes, chunkBytes };
  // 96 MiB that do not compress: three packs, each in parts.
  const chunk = (index) =>
    Buffer.from(
      createHmac('sha512', 'seed')
        .update(`${index}`)
        .digest('hex')
        .repeat(chunkBytes / 128),
    );
  const contents = new Map(Array.from({ length: 384 }, (_, i) => [i, i % 2 ? randomBytes(chunkBytes) : chunk(i)]));
  let stored;
  await checks.check('S3: a restore point of 96 MiB is written to the bucket', async () => {
    const repository = await openRepository();
    const session = await repository.beginSession('urn:vcloud:org:1', 'rp-1');
    const writer = await session.openDisk(disk);
    for (const [chunkIndex, bytes] of contents) await writer.write(bytes, [{ chunkIndex, offset: 0, length: bytes.length }]);
    stored = { diskId: disk.diskId, ...(await writer.finish()) };
    await session.publish({ createdAt: new Date().toISOString(), disks: [stored], documents: [], content: null });
  });
  await checks.check('S3: another process reads it back byte for byte, and deletes it', async () => {
    const repository = await openRepository();
    const ref = { organizationId: 'urn:vcloud:org:1', restorePointId: 'rp-1' };
    await repository.readManifest(ref);
    const reader = await repository.openDisk(ref, stored);
    const memory = Buffer.alloc(chunkBytes);
    for (const [chunkIndex, bytes] of contents) {
      await reader.read(memory, [{ chunkIndex, offset: 0 }]);
      assert.ok(memory.equals(bytes), `chunk ${chunkIndex} differs`);
    }
    await repository.check();
    await repository.deleteManifest(ref);
    await assert.rejects(repository.readManifest(ref), (error) => error.code === 'RESTORE_POINT_NOT_FOUND');
  });
}

export function openStore(server, { repository, common }, { bucket, prefix, ...changes }) {
  const { endpoint, caPem, accessKeyId, secretAccessKey } = { ...server, ...changes };
  return repository.S3Store.open({
    endpoint,
    bucket,
    prefix,
    region: 'us-east-1',
    pathStyle: true,
    caPem,
    credentials: async () => ({ accessKeyId, secretAccessKey }),
    requestTimeoutMs: 30_000,
    partBytes: PART_BYTES,
    log: common.silentLogger,
  });
}

export function peer({ endpoint, accessKeyId, secretAccessKey, caPem }) {
  return new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    requestHandler: { httpsAgent: { ca: caPem } },
  });
}
