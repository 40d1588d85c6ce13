#!/usr/bin/env node
/**
 * Exported disks in the hands of QEMU: `qemu-img check` of every format, `qemu-img compare` of each with the raw one, and reads by
 * `qemu-io` at the ends of a disk of 62 TiB; packages in the hands of tar, govc and vcsim (ova-checks.mjs). Run after a build: `node test/interop/export/run.mjs`. Without qemu-img it is skipped
 * with one sentence. VAPP_VAULT_DIST names another build than ../../../dist.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Checks, run } from '../vsphere/checks.mjs';
import { ovaChecks } from './ova-checks.mjs';
import { makeDisks, patternOf } from './disks.mjs';
import { writeImage, writeSparse } from './write-image.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const dist = resolve(process.env.VAPP_VAULT_DIST ?? join(here, '../../../dist'));
const product = (file) => import(pathToFileURL(join(dist, file)).href);
const PROGRAM_TIMEOUT_MS = 5 * 60_000;
const LARGEST_STREAMED_BYTES = 64 * 2 ** 30;
const OVERALL_TIMEOUT_MS = 20 * 60_000;
const SIGNAL = AbortSignal.timeout(OVERALL_TIMEOUT_MS);

async function main() {
  const checks = new Checks();
  if (!existsSync(join(dist, 'src/image/index.js'))) {
    console.error('The build is missing: run "npm run build" first.');
    return 2;
  }
  const { code, stdout } = await run('qemu-img', ['--version']);
  if (code !== 0) {
    checks.skip('export: there is no qemu-img here; Debian has it in the package qemu-utils.');
    return checks.end();
  }
  console.log(stdout.split('\n')[0]);
  const folder = mkdtempSync(join(tmpdir(), 'vapp-vault-export-'));
  try {
    const modules = {
      repository: await product('src/repository/index.js'),
      image: await product('src/image/index.js'),
      common: await product('src/common/index.js'),
    };
    for (const disk of await makeDisks(folder, modules)) {
      const images = await writeImages(checks, disk, folder, modules);
      if (disk.qemuIo) await readEnds(checks, disk, images);
      else await compareWithRaw(checks, disk, images);
      for (const { path } of images) rmSync(path);
    }
    await ovaChecks(checks, folder, product);
  } catch (error) {
    checks.fail('export: the checks', error);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return checks.end();
}

/** Every format of a disk as a file, holes where there are zeros. */
async function writeImages(checks, { name, reader, formats, chunks }, folder, { image }) {
  const grains = await image.AllocatedGrains.survey(reader, SIGNAL);
  const labels = { fileName: `${name}.vmdk`, contentId: 0x1234abcd };
  const whole = (source) => source.read(0, source.sizeBytes, SIGNAL);
  const writers = {
    raw: { qemu: 'raw', pieces: () => whole(image.rawImage(reader)) },
    vmdk: { qemu: 'vmdk', pieces: () => whole(image.sparseVmdk(grains, labels, name)) },
    'vmdk-stream-optimized': { qemu: 'vmdk', pieces: () => image.deflatedStream(grains, labels, name, SIGNAL) },
    'ova-disk': { qemu: 'vmdk', pieces: () => whole(image.storedStream(grains, labels, name)) },
    qcow2: { qemu: 'qcow2', pieces: () => whole(image.qcow2Image(grains, name)) },
  };
  const images = [];
  for (const format of formats) {
    const path = join(folder, `${name}.${format}`);
    await checks.check(`${name}: is written as ${format}`, async () => {
      // Nobody has the time to look at terabytes of zeros.
      if (format === 'raw' && reader.capacityBytes > LARGEST_STREAMED_BYTES)
        await writeSparse(path, image.rawImage(reader), around(chunks, reader), SIGNAL);
      else await writeImage(path, image.readAhead(writers[format].pieces()));
      images.push({ format, qemu: writers[format].qemu, path });
    });
  }
  return images;
}

/** Each chunk with a sector on either side. */
function around(chunks, { chunkBytes }) {
  return chunks.map((chunkIndex) => ({
    startBytes: Math.max(0, chunkIndex * chunkBytes - 512),
    endBytes: (chunkIndex + 1) * chunkBytes + 512,
  }));
}

async function compareWithRaw(checks, { name, reader, windows }, images) {
  const raw = images.find(({ format }) => format === 'raw');
  for (const { format, qemu, path } of images.filter((each) => each !== raw)) {
    await checks.check(`${name}: qemu-img info of ${format} tells its size`, () => assertSize(qemu, path, reader.capacityBytes));
    await checks.check(`${name}: qemu-img check of ${format}`, () => must('qemu-img', ['check', '-f', qemu, path]));
    await checks.check(`${name}: qemu-img compare of ${format} with raw`, async () => {
      if (windows === undefined) await must('qemu-img', ['compare', '-f', 'raw', '-F', qemu, raw.path, path]);
      for (const window of windows ?? []) await must('qemu-img', ['compare', cutOut('raw', raw.path, window), cutOut(qemu, path, window)]);
    });
  }
}

/** A part of a disk, as QEMU takes it: it goes through a VMDK grain by grain, which takes minutes for terabytes. */
function cutOut(driver, path, { offsetBytes, sizeBytes }) {
  const file = { driver: 'file', filename: path };
  const inner = driver === 'raw' ? file : { driver, file };
  return `json:${JSON.stringify({ driver: 'raw', offset: offsetBytes, size: sizeBytes, file: inner })}`;
}

/** A disk that no file system here could hold as a raw file: its chunks, read one by one, and the zeros between them. */
async function readEnds(checks, { name, reader, chunks }, images) {
  for (const { format, qemu, path } of images) {
    await checks.check(`${name}: qemu-img info of ${format} tells its size`, () => assertSize(qemu, path, reader.capacityBytes));
    if (qemu === 'qcow2') await checks.check(`${name}: qemu-img check of ${format}`, () => must('qemu-img', ['check', '-f', qemu, path]));
    await checks.check(`${name}: qemu-io reads of ${format} what was written`, async () => {
      const { chunkBytes } = reader;
      const reads = chunks.flatMap((chunkIndex) => [
        ['-c', `read -P ${patternOf(chunkIndex)} ${chunkIndex * chunkBytes} ${chunkBytes}`],
        ...(chunkIndex > 0 && !chunks.includes(chunkIndex - 1) ? [['-c', `read -P 0 ${(chunkIndex - 1) * chunkBytes} ${chunkBytes}`]] : []),
      ]);
      const output = await must('qemu-io', ['-r', '-f', qemu, ...reads.flat(), path]);
      if (/verification failed|error/i.test(output)) throw new Error(output);
      const done = output.match(new RegExp(`read ${chunkBytes}/${chunkBytes} bytes`, 'g')) ?? [];
      if (done.length !== reads.length) throw new Error(`${done.length} of ${reads.length} reads: ${output}`);
    });
  }
}

async function assertSize(qemu, path, sizeBytes) {
  const info = JSON.parse(await must('qemu-img', ['info', '--output=json', '-f', qemu, path]));
  if (info['virtual-size'] !== sizeBytes) throw new Error(`virtual-size is ${info['virtual-size']}, not ${sizeBytes}`);
}

async function must(program, args) {
  const { code, stdout, stderr } = await run(program, args, { timeoutMs: PROGRAM_TIMEOUT_MS });
  if (code !== 0) throw new Error(`${program} ${args[0]} ended with ${code}: ${stderr || stdout}`);
  return stdout + stderr;
}

setTimeout(() => {
  console.error('The suite took too long.');
  process.exit(1);
}, OVERALL_TIMEOUT_MS).unref();
process.exit(await main());
