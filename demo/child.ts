import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** dist/demo/child.js -> the clone. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const TETHER = join(ROOT, 'native/build/tether');
const SIGTERM = '15';
const KEPT_LINES = 20;

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
  private readonly process: ChildProcess;
  private readonly log: WriteStream;
  private readonly exited: Promise<string>;
  private readonly lastLines: string[] = [];
  private readonly readyLine: Promise<string>;

  constructor(private readonly options: ChildOptions) {
    this.log = createWriteStream(options.logFile, { flags: 'a', mode: 0o600 });
    const command = [process.execPath, '--enable-source-maps', join(ROOT, options.script), ...(options.args ?? [])];
    // A session of its own: Ctrl-C reaches the demo alone, which ends its parts in their order.
    this.process = spawn(TETHER, [SIGTERM, '-', ...command], {
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.exited = new Promise((done) => {
      this.process.once('error', (error) => done(error.message));
      this.process.once('exit', (code, signal) => done(signal ?? `exit ${code}`));
    });
    this.readyLine = new Promise((done) => this.listen(done));
  }

  /** @throws Error with its last words when it ends first, or is not ready in time. */
  async ready(): Promise<string> {
    const { name, readyTimeoutMs, logFile } = this.options;
    const ended = this.exited.then((outcome) => {
      throw new Error(`The ${name} ended at its start (${outcome}):\n${this.lastLines.join('\n')}`);
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, fail) => {
      timer = setTimeout(
        () => fail(new Error(`The ${name} was not ready within ${readyTimeoutMs / 1000} s; see ${logFile}`)),
        readyTimeoutMs,
      );
    });
    try {
      return await Promise.race([this.readyLine, ended, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Resolves, never rejects, with how it ended. */
  get end(): Promise<string> {
    return this.exited;
  }

  /** SIGTERM, then, if it does not end, SIGKILL. */
  async stop(timeoutMs: number): Promise<void> {
    this.process.kill('SIGTERM');
    const timer = setTimeout(() => this.process.kill('SIGKILL'), timeoutMs);
    await this.exited;
    clearTimeout(timer);
    this.log.end();
  }

  private listen(done: (readyValue: string) => void): void {
    const onLine = (line: string) => {
      this.log.write(`${line}\n`);
      this.lastLines.push(line);
      if (this.lastLines.length > KEPT_LINES) this.lastLines.shift();
      const value = this.options.ready(line);
      if (value !== undefined) done(value);
    };
    for (const stream of [this.process.stdout, this.process.stderr]) {
      createInterface({ input: stream as NodeJS.ReadableStream }).on('line', onLine);
    }
  }
}
