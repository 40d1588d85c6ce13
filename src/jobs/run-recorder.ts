import { describeError, type Logger } from '../common/index.js';
import type { Lease } from './lease-keeper.js';
import { errorForLog, failureForPeople } from './run-failure.js';
import type { RunEntity } from './run.entity.js';
import type { RunRecord, RunStore } from './run-store.js';
import { isMoving, SILENCE_MS, splitKey, type StoredProgress, TransferMeter } from './transfer.js';
import type { RunView } from './types.js';

/** More warnings than anybody reads are counted, not kept: the row must not grow with the vApp. */
const MAX_WARNINGS = 200;

/**
 * What a run tells of itself: steps, progress, warnings. Kept in memory and written as a whole,
 * one write at a time, so a storm of progress costs the database one small update a second.
 */
export class RunRecorder {
  private readonly steps: RunView['steps'];
  private readonly progressByKey: StoredProgress = {};
  private readonly meters = new Map<string, TransferMeter>();
  private readonly warnings: string[];
  private droppedWarnings = 0;
  private timer: NodeJS.Timeout | undefined;
  /** While something moved the last time: should it fall silent, nobody else says so. */
  private silenceTimer: NodeJS.Timeout | undefined;
  private writing: Promise<void> | undefined;
  private changed = false;
  /** Something other than bytes changed: a step's beginning or end is not kept waiting behind a write. */
  private urgent = false;
  private closed = false;
  private lastWriteMs = Number.NEGATIVE_INFINITY;

  /** Goes on with what earlier attempts of the run have told: their steps and warnings stay, their bytes begin anew. */
  constructor(
    private readonly store: RunStore,
    private readonly lease: Lease,
    private readonly log: Logger,
    private readonly progressMs: number,
    private readonly run: Pick<RunEntity, 'steps' | 'warnings' | 'attempt'>,
  ) {
    this.steps = [...run.steps];
    this.warnings = [...run.warnings];
  }

  async step<T>(name: string, work: () => Promise<T>): Promise<T> {
    const { attempt } = this.run;
    const step: RunView['steps'][number] = { name, state: 'running', startedAt: now(), endedAt: null, error: null, attempt };
    this.steps.push(step);
    this.changedNow();
    try {
      const value = await work();
      step.state = 'done';
      return value;
    } catch (error) {
      step.state = 'failed';
      step.error = failureForPeople(error, this.lease.runId).message;
      throw error;
    } finally {
      step.endedAt = now();
      this.changedNow();
    }
  }

  progress(key: string, value: { doneBytes: number; totalBytes: number }): void {
    const nowMs = Date.now();
    const meter = this.meters.get(key) ?? new TransferMeter(nowMs, value.doneBytes);
    this.meters.set(key, meter);
    this.progressByKey[key] = meter.update(value.doneBytes, value.totalBytes, nowMs);
    this.changedBytes();
  }

  expect(vm: string, disks: readonly string[] = ['']): void {
    for (const [key, { waits }] of Object.entries(this.progressByKey)) {
      if (waits && splitKey(key)[0] === vm) delete this.progressByKey[key];
    }
    for (const disk of disks) this.progressByKey[`${vm}/${disk}`] = { doneBytes: 0, totalBytes: 0, waits: true };
    this.changedBytes();
  }

  warn(message: string): void {
    this.log.warn(message);
    // A run that is begun again finds again what its first attempt found.
    if (this.warnings.includes(message)) return;
    if (this.warnings.length < MAX_WARNINGS) this.warnings.push(message);
    else this.droppedWarnings += 1;
    this.changedNow();
  }

  /** No write of this recorder is under way or will begin once it resolves. */
  async close(): Promise<RunRecord> {
    this.closed = true;
    clearTimeout(this.timer);
    clearTimeout(this.silenceTimer);
    await this.writing;
    return this.snapshot();
  }

  private snapshot(): RunRecord {
    const more = this.droppedWarnings === 0 ? [] : [`${this.droppedWarnings} further warnings are in the service's log.`];
    return { steps: this.steps, progress: this.progressByKey, warnings: [...this.warnings, ...more] };
  }

  private changedBytes(): void {
    this.changed = true;
    this.schedule(Math.max(0, this.lastWriteMs + this.progressMs - performance.now()));
  }

  private changedNow(): void {
    this.changed = true;
    this.urgent = true;
    this.schedule(0);
  }

  private schedule(delayMs: number): void {
    if (this.closed || this.writing !== undefined) return;
    if (this.timer !== undefined) {
      if (delayMs > 0) return;
      clearTimeout(this.timer);
    }
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.writing = this.write();
    }, delayMs);
  }

  private async write(): Promise<void> {
    this.changed = false;
    this.urgent = false;
    this.lastWriteMs = performance.now();
    this.lookAgain();
    try {
      const ours = await this.store.record(this.lease.runId, this.lease.owner, this.snapshot());
      if (!ours && !this.closed) this.lease.lose();
    } catch (error) {
      // The next write carries everything again, and the final state is written with retries.
      this.log.warn({ error: errorForLog(error) }, `the progress of the run could not be written: ${describeError(error)}`);
      this.changed = true;
      this.urgent = false;
    } finally {
      this.writing = undefined;
    }
    if (this.changed) this.schedule(this.urgent ? 0 : this.progressMs);
    if (!this.closed && Object.values(this.progressByKey).some(isMoving)) {
      clearTimeout(this.silenceTimer);
      this.silenceTimer = setTimeout(() => this.schedule(0), SILENCE_MS);
    }
  }

  /** By the clock of this process, as the rates are: another one's may be minutes apart. */
  private lookAgain(): void {
    const nowMs = Date.now();
    for (const [key, told] of Object.entries(this.progressByKey)) {
      const now = this.meters.get(key)?.lookAgain(told, nowMs);
      if (now !== undefined) this.progressByKey[key] = now;
    }
  }
}

const now = (): string => new Date().toISOString();
