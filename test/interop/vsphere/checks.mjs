/** Counts checks and prints one line each. */
import { spawn } from 'node:child_process';

export class Checks {
  passed = 0;
  failed = 0;
  skipped = 0;

  /** @returns whether it passed, so that a caller can leave out what builds on it. */
  async check(name, work) {
    try {
      await work();
      this.ok(name);
      return true;
    } catch (error) {
      this.fail(name, error);
      return false;
    }
  }

  ok(name) {
    this.passed += 1;
    console.log(`ok ${name}`);
  }

  fail(name, error) {
    this.failed += 1;
    console.log(
      `FAILED ${name}: ${String(error?.message ?? error)
        .replace(/\s+/g, ' ')
        .slice(0, 600)}`,
    );
  }

  skip(reason, count = 1) {
    this.skipped += count;
    console.log(`skipped ${reason}`);
  }

  end() {
    console.log(`${this.passed} passed, ${this.failed} failed, ${this.skipped} skipped`);
    return this.failed === 0 ? 0 : 1;
  }
}

/** Runs a program to its end, or to the end of its time. Never throws: `code` is null when it was ended or not found. */
export function run(command, args, { timeoutMs = 30_000, input = '', ...options } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { ...options, stdio: ['pipe', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (part) => {
      stdout += part;
    });
    child.stderr.on('data', (part) => {
      stderr += part;
    });
    child.stdin.on('error', () => undefined); // it ended without reading everything
    child.stdin.end(input);
    const done = (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr });
    };
    child.on('error', (error) => {
      stderr += error.message;
      done(null);
    });
    child.on('close', done);
  });
}
