/** vddk-host through a fixed set of operations over its control socket (native/host/main.cc has the protocol). */
import assert from 'node:assert/strict';
import { readSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const [REQUEST, ANSWER, READ, WRITE, EXTENTS] = [1, 2, 3, 4, 5];
const ANSWER_TIMEOUT_MS = 60_000;
const SECTORS = 128 * 20 + 9;
const PIECE_BYTES = 64 * 1024;

/** Calls by number, answers as they come. */
class HostClient {
  #received = Buffer.alloc(0);
  #waiting = new Map();
  #nextId = 1;
  extents = [];

  constructor(socket) {
    this.socket = socket;
    socket.on('data', (piece) => this.#receive(piece));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      for (const { fail } of this.#waiting.values()) fail(new Error('vddk-host ended before it answered'));
    });
  }

  request(body) {
    return this.#send(REQUEST, Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)));
  }

  /** @param pieces [offset, length, place in memory] in bytes */
  batch(type, disk, pieces) {
    const numbers = [disk, ...pieces.flat()].map(BigInt);
    const body = Buffer.alloc(numbers.length * 8);
    for (const [index, number] of numbers.entries()) body.writeBigUInt64LE(number, index * 8);
    return this.#send(type, body);
  }

  async succeed(body) {
    const answer = await this.request(body);
    assert.equal(answer.ok, true, `${JSON.stringify(body)} failed: ${JSON.stringify(answer)}`);
    return answer;
  }

  #send(type, body) {
    const id = this.#nextId++;
    const header = Buffer.alloc(16);
    header.writeUInt32LE(body.length, 0);
    header.writeUInt32LE(type, 4);
    header.writeBigUInt64LE(BigInt(id), 8);
    return new Promise((done, fail) => {
      const timer = setTimeout(() => fail(new Error(`no answer to ${body.toString().slice(0, 100)}`)), ANSWER_TIMEOUT_MS);
      const settle = (finish) => (value) => {
        clearTimeout(timer);
        finish(value);
      };
      this.#waiting.set(id, { done: settle(done), fail: settle(fail) });
      this.socket.write(Buffer.concat([header, body]));
    });
  }

  #receive(piece) {
    this.#received = Buffer.concat([this.#received, piece]);
    while (this.#received.length >= 16 && this.#received.length >= 16 + this.#received.readUInt32LE(0)) {
      const end = 16 + this.#received.readUInt32LE(0);
      const [type, id] = [this.#received.readUInt32LE(4), Number(this.#received.readBigUInt64LE(8))];
      const body = this.#received.subarray(16, end);
      this.#received = this.#received.subarray(end);
      if (type === EXTENTS) for (let at = 0; at < body.length; at += 8) this.extents.push(Number(body.readBigUInt64LE(at)));
      if (type !== ANSWER) continue;
      this.#waiting.get(id)?.done(JSON.parse(body.toString()));
      this.#waiting.delete(id);
    }
  }
}

/** @throws AssertionError, or Error where the host ends or does not answer. */
export async function exerciseHost(socket, { libraryDir, configFile, folder, memory, memoryBytes }) {
  const host = new HostClient(socket);
  const path = makeDisk(folder);
  assert.equal((await host.request({ op: 'flush', disk: '1' })).ok, false);
  const ioDepth = 4;
  await host.succeed({ op: 'hello', version: 1, libraryDir, configFile, ioDepth, maxRequestBytes: String(PIECE_BYTES) });
  const connect = { op: 'connect', target: null, readOnly: false, snapshot: null, transportModes: 'file' };
  const { connection } = await host.succeed(connect);
  const { disk, capacitySectors } = await host.succeed({ op: 'open', connection, path, flags: 0 });
  assert.equal(capacitySectors, String(SECTORS));

  const pieces = Array.from({ length: 20 }, (_, i) => [i * PIECE_BYTES, PIECE_BYTES, (19 - i) * PIECE_BYTES]);
  const answers = await Promise.all([host.batch(READ, disk, pieces.slice(0, 12)), host.batch(READ, disk, pieces.slice(12))]);
  assert.deepEqual(
    answers.map(({ ok }) => ok),
    [true, true],
  );
  const seen = Buffer.alloc(20 * PIECE_BYTES);
  readSync(memory, seen, 0, seen.length, 0);
  for (const [offset, , at] of pieces) assert.equal(seen[at], content(offset), `what was read at ${offset}`);
  await host.succeed({ op: 'queryAllocated', disk });
  assert.deepEqual(host.extents, [0, SECTORS]);

  await checkWrites(host, disk, memory);
  await checkMistakes(host, connection, disk, path, memoryBytes);
  await host.succeed({ op: 'close', disk });
  // What is left open is closed by disconnect, and what is left connected by exit.
  await host.succeed({ op: 'open', connection, path, flags: 4 });
  await host.succeed({ op: 'disconnect', connection });
  await host.succeed({ op: 'open', connection: (await host.succeed(connect)).connection, path, flags: 4 });
  await host.succeed({ op: 'exit' });
}

async function checkWrites(host, disk, memory) {
  writeSync(memory, Buffer.alloc(4608, 0x5a), 0, 4608, 0);
  assert.equal((await host.batch(WRITE, disk, [[(SECTORS - 9) * 512, 4608, 0]])).ok, true);
  await host.succeed({ op: 'flush', disk });
  assert.equal((await host.batch(READ, disk, [[(SECTORS - 9) * 512, 4608, 8192]])).ok, true);
  const seen = Buffer.alloc(4608);
  readSync(memory, seen, 0, seen.length, 8192);
  assert.ok(seen.equals(Buffer.alloc(4608, 0x5a)), 'what was written is read again');
  const entries = [
    ['comment', 'ü and nothing else'],
    ['geometry.heads', '16'],
  ];
  await host.succeed({ op: 'writeMetadata', disk, entries });
  const read = await host.succeed({ op: 'metadata', disk });
  assert.deepEqual(
    read.entries.filter(([key]) => entries.some(([name]) => name === key)),
    entries,
  );
}

/** Each is refused, and the next call works. */
async function checkMistakes(host, connection, disk, path, memoryBytes) {
  const refused = [
    host.batch(READ, disk, [[SECTORS * 512, 512, 0]]),
    host.batch(READ, disk, [[0, 512, memoryBytes]]),
    host.batch(READ, disk, [[1, 512, 0]]),
    host.batch(READ, disk, [[0, 2 ** 40, 0]]),
    host.batch(READ, '404', [[0, 512, 0]]),
    host.request('{"op":'),
    host.request('[]'),
    host.request({ op: 'none' }),
    host.request({ op: 'close', disk: '404' }),
    host.request({ op: 'open', connection: '404', path, flags: 0 }),
    host.request({ op: 'open', connection, path: `${path}.none`, flags: 0 }),
    host.request({ op: 'open', connection, path, flags: 48 }),
    host.request({ op: 'writeMetadata', disk, entries: [['bad"key', '1']] }),
    host.request({ op: 'prepareForAccess', target: unreachable(), identity: 'x'.repeat(51) }),
    host.request({ op: 'connect', target: unreachable(), readOnly: true, snapshot: 'snapshot-1', transportModes: 'nbdssl' }),
  ];
  for (const [index, answer] of (await Promise.all(refused)).entries())
    assert.equal(answer.ok, false, `mistake ${index}: ${JSON.stringify(answer)}`);
  assert.equal((await host.batch(READ, disk, [[0, 512, 0]])).ok, true);
}

function unreachable() {
  return {
    host: '127.0.0.1',
    port: 1,
    thumbprint: '11:22',
    vmMoRef: 'vm-1',
    credentials: { kind: 'password', userName: 'u', password: 'secret' },
  };
}

const content = (offset) => ((offset / PIECE_BYTES) % 250) + 1;

function makeDisk(folder) {
  const flat = Buffer.alloc(SECTORS * 512);
  for (let offset = 0; offset < flat.length; offset += PIECE_BYTES)
    flat.fill(content(offset), offset, Math.min(offset + PIECE_BYTES, flat.length));
  writeFileSync(join(folder, 'disk-flat.vmdk'), flat);
  const lines = ['# Disk DescriptorFile', 'version=1', 'CID=0a1b2c3d', 'parentCID=ffffffff', 'createType="vmfs"'];
  const path = join(folder, 'disk.vmdk');
  writeFileSync(path, [...lines, `RW ${SECTORS} VMFS "disk-flat.vmdk"`, 'ddb.adapterType = "lsilogic"', ''].join('\n'));
  return path;
}
