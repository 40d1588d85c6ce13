import { formatBytes } from '../src/common/index.js';
import type { RunView } from '../src/jobs/index.js';

const BAR_CELLS = 30;
const NAME_CELLS = 20;

/**
 * A run's steps, and a bar for each disk below the step that copies. On a terminal all of it is
 * redrawn in place; elsewhere each line is written once: a step when it begins, a disk when it is done.
 */
export class ProgressBars {
  private drawnLines = 0;
  private seenSteps = 0;
  private writtenSteps = 0;
  private readonly writtenDisks = new Set<string>();
  /** The step the bars belong to, from the moment the first one came. */
  private copyingStep: number | undefined;

  constructor(private readonly out: NodeJS.WriteStream = process.stdout) {}

  update(run: RunView): void {
    const hadBars = this.copyingStep !== undefined;
    if (!hadBars && Object.keys(run.progress).length > 0) this.copyingStep = longestStep(run, Math.max(0, this.seenSteps - 1));
    this.seenSteps = run.steps.length;
    if (this.out.isTTY) {
      this.redraw(run);
      return;
    }
    // Disks first when their step is on the page already: a new step begins after the last of them.
    if (hadBars) this.writeDoneDisks(run);
    for (; this.writtenSteps < run.steps.length; this.writtenSteps += 1) {
      this.out.write(`  ${run.steps[this.writtenSteps]?.name}\n`);
      if (this.writtenSteps === this.copyingStep) this.writeDoneDisks(run);
    }
    this.writeDoneDisks(run);
  }

  private writeDoneDisks(run: RunView): void {
    for (const [disk, value] of Object.entries(run.progress)) {
      if (value.doneBytes < value.totalBytes || this.writtenDisks.has(disk)) continue;
      this.writtenDisks.add(disk);
      this.out.write(`    ${bar(disk, value)}\n`);
    }
  }

  private redraw(run: RunView): void {
    const bars = Object.entries(run.progress).map(([disk, value]) => `    ${bar(disk, value)}`);
    const lines = run.steps.flatMap((step, index) => [
      `  ${step.state === 'failed' ? '✗' : step.state === 'done' ? '✓' : '·'} ${step.name}`,
      ...(index === this.copyingStep ? bars : []),
    ]);
    // What has left the screen at the top cannot be redrawn, and a line that wraps counts as two.
    const shown = lines.slice(-Math.max(1, (this.out.rows || 24) - 1)).map((line) => line.slice(0, (this.out.columns || 80) - 1));
    if (this.drawnLines > 0) this.out.write(`\x1b[${this.drawnLines}A`);
    for (const line of shown) this.out.write(`\x1b[2K${line}\n`);
    this.drawnLines = shown.length;
  }
}

/** Several steps may come in one event. Of those that are new, the one that copied took the time. */
function longestStep(run: RunView, from: number): number {
  const durationMs = (index: number) => {
    const step = run.steps[index];
    return step === undefined ? 0 : Date.parse(step.endedAt ?? new Date().toISOString()) - Date.parse(step.startedAt);
  };
  let longest = from;
  for (let index = from + 1; index < run.steps.length; index += 1) if (durationMs(index) > durationMs(longest)) longest = index;
  return longest;
}

function bar(disk: string, { doneBytes, totalBytes }: { doneBytes: number; totalBytes: number }): string {
  const share = totalBytes === 0 ? 1 : Math.min(1, doneBytes / totalBytes);
  const filled = Math.round(share * BAR_CELLS);
  const cells = `${'█'.repeat(filled)}${'░'.repeat(BAR_CELLS - filled)}`;
  return `${disk.padEnd(NAME_CELLS)} ${cells} ${String(Math.floor(share * 100)).padStart(3)} %  ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
}
