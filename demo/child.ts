import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** dist/demo/child.js -> the clone. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const TETHER = join(ROOT, 'native/build/tether');
const SIGTERM = '15';

export interface ChildOptions {
  name: string;
  script: string;
  args?: string[];
  env?: Record<string, string>;
  logFile: string;
  /** Answers the value that says the child is ready, from one line of its standard output. */
  ready: (line: string) => string | undefined;
  readyTimeoutMs: number;
}

/** A part of the demo in a process of its own, tied to the demo's life: however the demo ends, it ends. */
export class Child {
  private constructor(
    readonly name: string,
    private readonly process: ChildProcess,
    private readonly log: WriteStream,
    readonly readyLine: string,
    private readonly exited: Promise<void>,
  ) {}

  get pid(): number {
    return this.process.pid as number;
  }

  static async start(options: ChildOptions): Promise<Child> {
    const log = createWriteStream(options.logFile, { flags: 'a', mode: 0o600 });
    const child = spawn(
      TETHER,
      [SIGTERM, '-', process.execPath, '--enable-source-maps', join(ROOT, options.script), ...(options.args ?? [])],
      {
        env: { ...process.env, ...options.env },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const lastLines: string[] = [];
    const exited = new Promise<void>((done) => child.once('exit', () => done()));
    const readyLine = await new Promise<string>((done, fail) => {
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        fail(new Error(`The ${options.name} was not ready within ${options.readyTimeoutMs / 1000} s; see ${options.logFile}`));
      }, options.readyTimeoutMs);
      const onLine = (line: string) => {
        log.write(`${line}\n`);
        lastLines.push(line);
        if (lastLines.length > 20) lastLines.shift();
        const value = options.ready(line);
        if (value === undefined) return;
        clearTimeout(timer);
        done(value);
      };
      createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', onLine);
      createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', onLine);
      child.once('error', fail);
      child.once('exit', (code, signal) => {
        clearTimeout(timer);
        fail(new Error(`The ${options.name} ended at its start (${signal ?? `exit ${code}`}):\n${lastLines.join('\n')}`));
      });
    });
    return new Child(options.name, child, log, readyLine, exited);
  }

  /** SIGTERM, then, if it does not end, SIGKILL. */
  async stop(timeoutMs = 20_000): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill('SIGTERM');
      const timer = setTimeout(() => this.process.kill('SIGKILL'), timeoutMs);
      await this.exited;
      clearTimeout(timer);
    }
    this.log.end();
  }
}
