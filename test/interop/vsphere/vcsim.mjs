/** govmomi's vCenter, of tools/vcsim, as a process of its own. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const START_TIMEOUT_MS = 20_000;
const END_TIMEOUT_MS = 5_000;

/**
 * @param use is given how it is reached: `url`, `userName`, `password`, `thumbprintSha256` …
 * @returns what `use` returns, once the process has ended.
 */
export async function withVcsim(program, args, use) {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'] });
  try {
    return await use(await firstLine(child));
  } finally {
    child.stdin.end(); // it removes its files and ends
    await Promise.race([
      new Promise((resolve) => child.once('close', resolve)),
      new Promise((resolve) => setTimeout(resolve, END_TIMEOUT_MS).unref()),
    ]);
    child.kill('SIGKILL');
  }
}

async function firstLine(child) {
  const lines = createInterface({ input: child.stdout });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('vcsim did not start in time')), START_TIMEOUT_MS);
    lines.once('line', (line) => {
      clearTimeout(timer);
      resolve(JSON.parse(line));
    });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`vcsim ended with code ${code}`)));
  });
}
