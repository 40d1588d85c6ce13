import { formatBytes } from '../src/common/index.js';
import type { RunView } from '../src/jobs/index.js';

const BAR_CELLS = 30;

/** A bar for each disk of a run. On a terminal they move; elsewhere each disk is printed when it is done. */
export class ProgressBars {
  private drawnLines = 0;
  private readonly finished = new Set<string>();
  private lastStep = '';

  constructor(private readonly out: NodeJS.WriteStream = process.stdout) {}

  update(run: RunView): void {
    const step = run.steps.at(-1)?.name ?? '';
    if (this.out.isTTY) {
      this.redraw(run, step);
      return;
    }
    if (step !== this.lastStep && step !== '') this.out.write(`  ${step}\n`);
    this.lastStep = step;
    for (const [key, value] of Object.entries(run.progress)) {
      if (value.doneBytes < value.totalBytes || this.finished.has(key)) continue;
      this.finished.add(key);
      this.out.write(`    ${bar(key, value)}\n`);
    }
  }

  private redraw(run: RunView, step: string): void {
    const lines = [`  ${step}`, ...Object.entries(run.progress).map(([key, value]) => `    ${bar(key, value)}`)];
    if (this.drawnLines > 0) this.out.write(`\x1b[${this.drawnLines}A`);
    for (const line of lines) this.out.write(`\x1b[2K${line}\n`);
    this.drawnLines = lines.length;
  }
}

function bar(key: string, { doneBytes, totalBytes }: { doneBytes: number; totalBytes: number }): string {
  const share = totalBytes === 0 ? 1 : doneBytes / totalBytes;
  const filled = Math.round(share * BAR_CELLS);
  const cells = `${'█'.repeat(filled)}${'░'.repeat(BAR_CELLS - filled)}`;
  return `${key.padEnd(22)} ${cells} ${String(Math.floor(share * 100)).padStart(3)} %  ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
}
