import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { constants, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sleep } from '../../src/common/index.js';
import type { RequestGate } from '../simulator/request-gate.js';
import type { Door, OpenDoor } from './door.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SHIM = join(ROOT, basename(ROOT) === 'dist' ? '..' : '.', 'native/build/repository-door.so');
const { EIO, ENOSPC, EROFS } = constants.errno;

/**
 * Stands between a worker and the folder of its repository: a library that is preloaded into the worker (native/repository-door) asks
 * here before and after each call that changes something in the folder. Reading, and closing, go by.
 *
 * The service's S3 store against a stand-in behind the gate would have been less C, but no service in the field or the demo stands
 * on it alone; a folder's own steps - the temporary file, its first byte, its sync, the name, the folder's sync - would have gone untried.
 *
 * What was cut off fails with EIO, as on a mount that went away; what failed late has happened, and fails with EIO. What a file
 * system is like for everybody is an order of its own, from then on: `condition` and `delayMs`.
 */
export class RepositoryDoor implements Door {
  private readonly calls = new Set<Socket>();
  condition: Condition = 'well';
  /** How long each call takes. */
  delayMs = 0;

  private constructor(
    private readonly server: Server,
    private readonly socketDir: string,
    private readonly repositoryDir: string,
  ) {}

  static async open(gate: RequestGate, repositoryDir: string): Promise<RepositoryDoor> {
    if (!existsSync(SHIM)) throw new Error(`${SHIM} is missing: run "npm run build" first`);
    // A UNIX socket's path is short: not below a folder of somebody else's choice.
    const socketDir = await mkdtemp(join(tmpdir(), 'vault-door-'));
    const server = createServer();
    server.listen(join(socketDir, 'door'));
    await once(server, 'listening');
    const door = new RepositoryDoor(server, socketDir, repositoryDir);
    server.on('connection', (socket) => {
      door.calls.add(socket);
      socket.once('close', () => door.calls.delete(socket));
      socket.on('error', () => socket.destroy());
      void door.serve(new Call(socket), gate);
    });
    return door;
  }

  get environment(): Record<string, string> {
    return { LD_PRELOAD: SHIM, REPOSITORY_DOOR_FOLDER: this.repositoryDir, REPOSITORY_DOOR_SOCKET: join(this.socketDir, 'door') };
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    for (const socket of this.calls) socket.destroy();
    await closed;
    await rm(this.socketDir, { recursive: true, force: true });
  }

  private async serve(call: Call, gate: RequestGate): Promise<void> {
    const [, method = '', object = ''] = /^before (\S+) (.+)$/.exec((await call.line()) ?? '') ?? [];
    if (method === '') return;
    if (this.delayMs > 0) await sleep(this.delayMs);
    const refusal = REFUSALS[this.condition];
    if (refusal?.methods.includes(method)) {
      call.answer(`fail ${refusal.code}`);
      return;
    }
    try {
      if (byTheClock(object)) await call.carryOut();
      else await gate.pass({ door: 'repository', method, object: kindOf(object) }, () => call.carryOut());
      call.answer('go');
    } catch (error) {
      // The worker's thread waits for the first answer where the call was cut off before, and for the second where it is done.
      call.answer(error instanceof CallRefused ? 'go' : `fail ${EIO}`);
    }
  }
}

export type Condition = 'well' | 'full' | 'read-only';

/** A full disk refuses what makes or lengthens something: removing still works, and so does giving a file that is there another name. */
const REFUSALS: Readonly<Record<Condition, { code: number; methods: readonly string[] } | undefined>> = {
  well: undefined,
  full: { code: ENOSPC, methods: ['create', 'mkdir', 'write', 'fdatasync'] },
  'read-only': { code: EROFS, methods: ['create', 'mkdir', 'write', 'rename', 'link', 'unlink'] },
};

/** Packs are fanned out by their ids. */
function kindOf(object: string): string {
  return object.replace(/\bpacks\/[0-9a-f]{2}\b/, 'packs/..');
}

/** The file system itself said no, as to a name that is taken: that is the worker's to hear. */
class CallRefused extends Error {}

/** The signs that a service lives, and the time it states: they come when they come. */
function byTheClock(object: string): boolean {
  return /^(?:services\/|clock\.json$)/.test(object);
}

/** A call of the worker's, which waits for an answer before it and one after it. */
class Call {
  private buffered = '';
  private ended = false;
  private wake: (() => void) | undefined;

  constructor(private readonly socket: Socket) {
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      this.buffered += text;
      this.wake?.();
    });
    socket.once('close', () => {
      this.ended = true;
      this.wake?.();
    });
  }

  /** @returns undefined when the worker is gone. */
  async line(): Promise<string | undefined> {
    for (;;) {
      const end = this.buffered.indexOf('\n');
      if (end >= 0) {
        const line = this.buffered.slice(0, end);
        this.buffered = this.buffered.slice(end + 1);
        return line;
      }
      if (this.ended) return undefined;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  /** @throws CallRefused. */
  async carryOut(): Promise<void> {
    this.answer('go');
    const done = await this.line();
    if (done !== 'after 0') throw new CallRefused(done ?? 'the worker is gone');
  }

  answer(order: string): void {
    if (!this.ended) this.socket.write(`${order}\n`);
  }
}

export const openRepositoryDoor: OpenDoor = (gate, { repositoryDir }) => RepositoryDoor.open(gate, repositoryDir);
