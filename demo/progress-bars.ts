import { formatBytes } from '../src/common/index.js';
import type { RunView } from '../src/jobs/index.js';

const BAR_CELLS = 30;
const NAME_CELLS = 20;
/** The steps of a backup and of a restore that move bytes. */
const COPYING_STEPS: ReadonlySet<string> = new Set(['Copy the disks', 'Rebuild the VMs in vSphere']);

/**
 * A run's steps, and a bar for each disk below the step that copies. On a terminal all of it is
 * redrawn in place; elsewhere each line is written once: a step when it begins, a disk when it is done.
 */
export class ProgressBars {
  private drawnLines = 0;
  private writtenSteps = 0;
  private readonly writtenDisks = new Set<string>();

  constructor(private readonly out: NodeJS.WriteStream = process.stdout) {}

  update(run: RunView): void {
    if (this.out.isTTY) {
      this.redraw(run);
      return;
    }
    for (; this.writtenSteps < run.steps.length; this.writtenSteps += 1) {
      // Several steps may come in one event: the disks go below theirs.
      this.writeDoneDisks(run);
      this.out.write(`  ${run.steps[this.writtenSteps]?.name}\n`);
    }
    this.writeDoneDisks(run);
  }

  private writeDoneDisks(run: RunView): void {
    const last = run.steps[this.writtenSteps - 1]?.name ?? '';
    if (!COPYING_STEPS.has(last)) return;
    for (const [disk, value] of Object.entries(run.progress)) {
      if (value.doneBytes < value.totalBytes || this.writtenDisks.has(disk)) continue;
      this.writtenDisks.add(disk);
      this.out.write(`    ${bar(disk, value)}\n`);
    }
  }

  private redraw(run: RunView): void {
    const bars = Object.entries(run.progress).map(([disk, value]) => `    ${bar(disk, value)}`);
    const lines = run.steps.flatMap((step) => [
      `  ${step.state === 'failed' ? '✗' : step.state === 'done' ? '✓' : '·'} ${step.name}`,
      ...(COPYING_STEPS.has(step.name) ? bars : []),
    ]);
    // What has left the screen at the top cannot be redrawn, and a line that wraps counts as two.
    const shown = lines.slice(-Math.max(1, (this.out.rows || 24) - 1)).map((line) => line.slice(0, (this.out.columns || 80) - 1));
    if (this.drawnLines > 0) this.out.write(`\x1b[${this.drawnLines}A`);
    for (const line of shown) this.out.write(`\x1b[2K${line}\n`);
    this.drawnLines = shown.length;
  }
}

function bar(disk: string, { doneBytes, totalBytes }: { doneBytes: number; totalBytes: number }): string {
  const share = totalBytes === 0 ? 1 : Math.min(1, doneBytes / totalBytes);
  const filled = Math.round(share * BAR_CELLS);
  const cells = `${'█'.repeat(filled)}${'░'.repeat(BAR_CELLS - filled)}`;
  return `${disk.padEnd(NAME_CELLS)} ${cells} ${String(Math.floor(share * 100)).padStart(3)} %  ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
}
