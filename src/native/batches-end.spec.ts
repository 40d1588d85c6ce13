import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { createSharedMemory, seal } from './index.js';

const MIB = 1024 * 1024;
const ADDON = join(import.meta.dirname, '../../native/build/vapp_vault.node');

/** In a process of its own: what is wrong ends it by a signal. */
const TERMINATES_WORKERS = `
const { Worker } = require('node:worker_threads');
const { once } = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');
const work = \`
  const { parentPort, workerData } = require('node:worker_threads');
  const addon = require(workerData);
  addon.useWorkThreads(2);
  const [small, large] = [addon.allocatePages(1 << 20), addon.allocatePages(32 << 20)];
  for (let i = 0; i < large.length; i += 97) large[i] = i;
  small.fill(1);
  const key = Buffer.alloc(32);
  const again = async (memory) => { for (;;) await addon.inspect(memory, Float64Array.of(0, memory.length), key); };
  for (let i = 0; i < 8; i += 1) again(small);
  for (let i = 0; i < 3; i += 1) again(large);
  parentPort.postMessage('busy');
\`;
(async () => {
  for (let round = 0; round < 12; round += 1) {
    const worker = new Worker(work, { eval: true, workerData: process.argv[1] });
    await once(worker, 'message');
    await sleep(round);
    await worker.terminate();
  }
  console.log('all ended');
})();
`;

it('lets an environment end with batches under way, and the process go on', { timeout: 60_000 }, () => {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['-e', TERMINATES_WORKERS, ADDON], {
    encoding: 'utf8',
    timeout: 50_000,
  });
  expect({ status, signal, stdout, stderr }).toEqual({ status: 0, signal: null, stdout: 'all ended\n', stderr: '' });
});

it('gives memory of a host that was closed to the next only when no batch works in it any more', async () => {
  const bytes = 48 * MIB;
  const closed = createSharedMemory(bytes);
  const memory = randomBytes(MIB);
  const count = 40;
  const batch = seal({
    memory,
    spans: Array.from({ length: count }, () => ({ offset: 0, length: MIB })),
    key: randomBytes(32),
    nonces: randomBytes(12 * count),
    aads: randomBytes(4 * count),
    level: 1,
    headers: Buffer.alloc(12 * count),
    fields: { codecAt: 1, payloadLengthAt: 3, checksumAt: 8 },
    output: closed.buffer,
    cursor: new Uint32Array(1),
  });
  closed.close();
  // Detached: whatever is to become of the memory is done in some turns of the loop.
  for (let turn = 0; turn < 5; turn += 1) await nextTurn();
  const next = createSharedMemory(bytes);
  await batch;
  expect(next.buffer.equals(Buffer.alloc(bytes))).toBe(true);
  next.close();
});
