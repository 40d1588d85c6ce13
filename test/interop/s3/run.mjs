#!/usr/bin/env node
/**
 * The repository on a real S3 server (versitygw, from the Go module proxy): the conformance suite of the blob stores, object lock,
 * leftovers, a whole repository, its collections, locks and second site, the tools, and the service with a backup and a restore. Run after a build: `node test/interop/s3/run.mjs`. Without Go it is skipped with one sentence.
 * VAPP_VAULT_DIST names another build than ../../../dist.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { Checks } from '../vsphere/checks.mjs';
import { serviceChecks } from './service-checks.mjs';
import { siteChecks } from './site-checks.mjs';
import { repositoryChecks, storeChecks } from './store-checks.mjs';
import { buildVersitygw, startVersitygw } from './versitygw.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const dist = resolve(process.env.VAPP_VAULT_DIST ?? join(here, '../../../dist'));
const product = (file) => import(pathToFileURL(join(dist, file)).href);
const OVERALL_TIMEOUT_MS = 30 * 60_000;

async function main() {
  const checks = new Checks();
  if (!existsSync(join(dist, 'test/repository/store-conformance.js'))) {
    console.error('The build is missing: run "npm run build" first.');
    return 2;
  }
  const { program, reason } = await buildVersitygw();
  if (reason !== undefined) {
    checks.skip(reason);
    return checks.end();
  }
  const folder = mkdtempSync(join(tmpdir(), 'vapp-vault-s3-'));
  const { serverCertificate } = await product('test/simulator/tls.js');
  let server;
  try {
    server = await startVersitygw(program, folder, await serverCertificate(join(folder, 'certificate.json'), 'Interop S3', ['127.0.0.1']));
    await makeBuckets(server);
    const modules = {
      repository: await product('src/repository/index.js'),
      conformance: await product('test/repository/store-conformance.js'),
      assertions: await product('test/repository/store-assertions.js'),
      common: await product('src/common/index.js'),
    };
    await storeChecks(checks, server, modules);
    await repositoryChecks(checks, server, modules);
    await siteChecks(checks, server, folder, modules, product);
    await serviceChecks(checks, server, folder, product);
  } catch (error) {
    checks.fail('S3: the checks', error);
  } finally {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  return checks.end();
}

/** With Amazon's client and none of ours: `plain`, and `locked` with object lock, which brings versions. */
async function makeBuckets({ endpoint, accessKeyId, secretAccessKey, caPem }) {
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    requestHandler: { httpsAgent: { ca: caPem } },
  });
  await client.send(new CreateBucketCommand({ Bucket: 'plain' }));
  await client.send(new CreateBucketCommand({ Bucket: 'locked', ObjectLockEnabledForBucket: true }));
  client.destroy();
}

setTimeout(() => {
  console.error('The suite took too long.');
  process.exit(1);
}, OVERALL_TIMEOUT_MS).unref();
process.exit(await main());
