import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sleep, withTimeout } from '../../src/common/index.js';

/** As `npm run build` leaves it; `npm test` builds before it tests. */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = join(ROOT, basename(ROOT) === 'dist' ? 'src/main.js' : 'dist/src/main.js');
const START_TIMEOUT_MS = 240_000;
const END_TIMEOUT_MS = 15_000;

/** The service as it is in real life: a process of its own, which can be killed at any instant. */
export class KillableService {
  private isAskedToEnd = false;

  private constructor(
    private readonly child: ChildProcess,
    readonly url: string | undefined,
    private readonly texts: string[],
  ) {
    // Nothing else tells that one which is waited for is not there any more.
    child.once('exit', (code, signal) => {
      if (!this.isAskedToEnd)
        texts.push(`\nThe service ended by itself, ${signal === null ? `with status ${code}` : `by signal ${signal}`}.\n`);
    });
  }

  /** @param environment VAPP_VAULT_… settings; nothing else of this process's environment but PATH and HOME. */
  static async start(environment: Record<string, string>): Promise<KillableService> {
    if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: run "npm run build" first`);
    const { PATH = '', HOME = '' } = process.env;
    const child = spawn(process.execPath, ['--enable-source-maps', MAIN], {
      env: { PATH, HOME, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const texts: string[] = [];
    const ready = new Promise<string>((resolve, reject) => {
      const look = (data: Buffer) => {
        texts.push(data.toString('utf8'));
        const said = /vApp Vault (listens on (?<url>\S+);|works )/.exec(texts.join(''));
        if (said) resolve(said.groups?.url ?? '');
      };
      child.stdout.on('data', look);
      child.stderr.on('data', look);
      child.once('exit', () => reject(new Error(`The service ended before it was ready: ${texts.join('')}`)));
      const late = () => reject(new Error(`The service was not ready within ${START_TIMEOUT_MS / 1000} s: ${texts.join('')}`));
      setTimeout(late, START_TIMEOUT_MS).unref();
    });
    try {
      const url = await ready;
      return new KillableService(child, url === '' ? undefined : url, texts);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  /** Everything it has said so far, standard error included. */
  get output(): string {
    return this.texts.join('');
  }

  /** Sends SIGKILL in this very instant. @returns its processes that were still there at the end of the wait. */
  async kill(): Promise<string[]> {
    this.isAskedToEnd = true;
    const family = descendants(this.child.pid as number);
    this.child.kill('SIGKILL');
    await this.exited();
    return survivorsOf(family);
  }

  freeze(): void {
    this.child.kill('SIGSTOP');
  }

  thaw(): void {
    this.child.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    this.isAskedToEnd = true;
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGCONT');
    this.child.kill('SIGTERM');
    await Promise.race([ended, sleep(END_TIMEOUT_MS)]);
    this.child.kill('SIGKILL');
    await this.exited();
  }

  /** Also after SIGKILL: a process in the middle of a system call that hangs stays. */
  private async exited(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    await withTimeout(`The end of process ${this.child.pid} after SIGKILL`, END_TIMEOUT_MS, undefined, () => once(this.child, 'exit'));
  }
}

interface Process {
  pid: number;
  parent: number;
  name: string;
  state: string;
  /** Clock ticks since boot: tells a process from a later one of the same number. */
  startedTicks: string;
}

function processes(): Process[] {
  const found: Process[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const text = readFileSync(`/proc/${entry}/stat`, 'utf8');
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      found.push({
        pid: Number(entry),
        parent: Number(fields[1]),
        name: text.slice(text.indexOf('(') + 1, text.lastIndexOf(')')),
        state: fields[0] as string,
        startedTicks: fields[19] as string,
      });
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

function descendants(pid: number): Process[] {
  const all = processes();
  const found: Process[] = [];
  for (let parents = [pid]; parents.length > 0; ) {
    const children = all.filter((each) => parents.includes(each.parent));
    found.push(...children);
    parents = children.map((each) => each.pid);
  }
  return found;
}

/** Names of those that are still there when they have had time to notice. */
async function survivorsOf(family: readonly Process[]): Promise<string[]> {
  for (const deadline = performance.now() + END_TIMEOUT_MS; ; await sleep(50)) {
    const now = processes();
    const alive = family.filter((each) =>
      now.some((other) => other.pid === each.pid && other.startedTicks === each.startedTicks && other.state !== 'Z'),
    );
    if (alive.length === 0 || performance.now() > deadline) return alive.map(({ name, pid }) => `${name} (${pid})`);
  }
}
