import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { SimulatorDescription } from '../simulator/index.js';

const READY_TIMEOUT_MS = 180_000;
const STOP_TIMEOUT_MS = 20_000;

/** The simulated cloud in a process of its own: what it costs does not count. */
export class SimulatorProcess {
  private constructor(
    private readonly process: ChildProcess,
    private readonly ended: Promise<string>,
    readonly description: SimulatorDescription,
  ) {}

  /** @throws Error with its last words when it does not start. */
  static async start(args: readonly string[]): Promise<SimulatorProcess> {
    const root = repositoryRoot();
    const node = [process.execPath, '--enable-source-maps', join(root, 'dist/test/simulator/main.js'), ...args];
    // The tether ends it with this process, however this process ends.
    const child = spawn(join(root, 'native/build/tether'), ['15', '-', ...node], { stdio: ['ignore', 'pipe', 'pipe'] });
    const words: string[] = [];
    child.stderr.on('data', (text: Buffer) => words.push(text.toString()));
    const ended = new Promise<string>((done) => {
      child.once('error', (error) => done(error.message));
      child.once('exit', (code, signal) => done(signal ?? `exit ${code}`));
    });
    const lines = createInterface({ input: child.stdout });
    let timer: NodeJS.Timeout | undefined;
    try {
      const line = await Promise.race([
        new Promise<string>((done) => lines.on('line', (text) => text.startsWith('{') && done(text))),
        ended.then((how) => Promise.reject(new Error(`The simulated cloud ended at its start (${how}): ${words.join('').trim()}`))),
        new Promise<never>((_, fail) => {
          timer = setTimeout(() => fail(new Error('The simulated cloud was not ready in time')), READY_TIMEOUT_MS);
        }),
      ]);
      return new SimulatorProcess(child, ended, JSON.parse(line) as SimulatorDescription);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async stop(): Promise<void> {
    this.process.kill('SIGTERM');
    const timer = setTimeout(() => this.process.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await this.ended;
    clearTimeout(timer);
  }
}

/** The same from the sources and from dist: the nearest folder upwards with a package.json. */
export function repositoryRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('The bench is not inside its repository');
    folder = parent;
  }
  return folder;
}
