import type { Logger } from '../common/index.js';
import type { RunTransfer } from './transfer.js';

export type RunKind = 'backup' | 'restore' | 'verify' | 'gc' | 'retention' | 'rebuild-catalog' | 'copy' | 'hold';
export type RunState = 'queued' | 'running' | 'succeeded' | 'warning' | 'failed' | 'cancelled';
export type FinalRunState = Exclude<RunState, 'queued' | 'running'>;
export type StepState = 'running' | 'done' | 'failed';

/** What a run's handler gets. Knows no backup. */
export interface RunContext {
  readonly runId: string;
  /** 1 at first; more when a worker died with the run or handed it over, and what it had stored may be found. */
  readonly attempt: number;
  /**
   * Fires on cancel, on lost lease, and when the service stops and has waited long enough. A handler that has not ended long
   * after it has lost its run.
   */
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** Names a stretch of the run for people; kept with times and outcome. */
  step<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Latest value wins; written at most once a second. `key` names a disk: "web-1/Hard disk 1". */
  progress(key: string, value: { doneBytes: number; totalBytes: number }): void;
  /**
   * Disks of a VM whose turn is still to come, named as in the keys of `progress` after the slash; those told before are
   * forgotten. Without `disks`: some that are not known yet. Until all have begun nobody can tell how long the run takes.
   */
  expect(vm: string, disks?: readonly string[]): void;
  warn(message: string): void;
  readonly obligations: ObligationLedger;
  /**
   * For what a run holds in this process alone: called once, the newest first, when its debts were tried or its lease is
   * lost, however it ends. What it throws is logged.
   */
  atEnd(release: () => Promise<void>): void;
  /**
   * The run's aim is reached: keeps the result and settles the debts of what is now meant to stay, all in
   * one instant. Should the worker die after it, the run has succeeded and only its other debts are paid.
   * @param follows debts that begin in that instant: what has to be carried on once the aim is reached, and must
   * not even be begun before. Whoever finds the run pays them.
   * @returns handles of `follows`, in their order.
   * @throws JobsError LEASE_LOST: somebody is undoing it already; PAYER_MISSING.
   */
  commit(
    result: Record<string, unknown>,
    kept: readonly ObligationHandle[],
    follows?: readonly NewObligation[],
  ): Promise<ObligationHandle[]>;
}

export interface NewObligation {
  kind: string;
  /** JSON, no secrets; enough for a stranger to pay. */
  terms: Record<string, unknown>;
}

/** Promise 2 of the plan: a debt is in the database before the thing it names is made. */
export interface ObligationLedger {
  /** Committed when it resolves. @param terms JSON, no secrets; enough for a stranger to pay. */
  owe(kind: string, terms: Record<string, unknown>): Promise<ObligationHandle>;
}

/** A debt as others see it. */
export interface UnpaidDebt {
  runId: string;
  kind: string;
  /** Why it could not be paid the last time; null while nobody has tried. */
  lastError: string | null;
}

export interface ObligationHandle {
  readonly id: string;
  /** Adds facts learned while making the thing (a MoRef). */
  amend(terms: Record<string, unknown>): Promise<void>;
  /** The thing was undone, or is now meant to stay. */
  settle(): Promise<void>;
  /** Pays now, by the same code a stranger would use, then settles. */
  pay(): Promise<void>;
}

/**
 * Undoes what an obligation names. Must succeed when there is nothing left to undo.
 * @returns 'undone' when it saw the thing, and it is gone: no request still on its way can make it again. Anything else
 * means that there was nothing; after a death, a cancel or a failure such a debt is opened once more, when the requests of
 * the run must have ended.
 */
export type ObligationPayer = (terms: Record<string, unknown>, signal: AbortSignal, log: Logger) => Promise<unknown>;

/** Which of these runs are named by what a room keeps, so that they are not forgotten while a person may ask for them there. */
export type RunReferences = (runIds: readonly string[]) => Promise<Iterable<string>>;

/** What else is known of a kind of debt. */
export interface PayerOptions {
  /** The outside system that is asked: what hangs there holds up no debt at another one. Without it, the kind stands for one. */
  system?: (terms: never) => string;
  /**
   * What this debt names becomes somebody's when its run commits. Whoever cannot know whether the run has - a debt may come out of
   * a dump that is older than the commit - must not pay it.
   * @returns the thing as a person finds it.
   */
  mayBeInUse?: (terms: never) => string;
}

/**
 * Looks whether a run whose worker died had reached its aim, and brings up to date what should follow from
 * it. Called after its debts were tried.
 * @returns the run's result; undefined when it had not.
 */
export type LostRunConclusion = (payload: never, signal: AbortSignal) => Promise<Record<string, unknown> | undefined>;

/** @returns JSON kept as the run's result. */
export type RunHandler = (payload: never, context: RunContext) => Promise<Record<string, unknown>>;

/** What else is known of a kind of run. */
export interface HandlerOptions {
  /** Asked when a run's worker has died: what counts may exist although its end was not recorded. */
  concludeLost?: LostRunConclusion;
  /** Asked when a run is ended because its worker died: one sentence for each thing that it had begun and that no debt can undo. */
  cannotBeUndone?: (runId: string) => Promise<string[]>;
  /**
   * Whether a run whose worker died or stopped is begun again, from the same payload, once its debts were tried: the kind
   * promises that a second attempt does no harm beside the leftovers of the first, and beside requests of its that arrive late.
   */
  resumable?: boolean | ((payload: never) => boolean);
  /**
   * What its runs write is in use from their end on: one that comes out of a dump may have ended long ago, and is neither
   * carried out nor gone on with.
   */
  writesWhatIsUsed?: boolean;
  /**
   * What a new run has to do again; without it, all of a run that failed or was cancelled.
   * @param before.failed whether nothing came of the run.
   * @returns the payload of the new run; undefined where nothing failed.
   */
  retry?: (
    payload: never,
    before: { failed: boolean; result: Record<string, unknown> | null },
  ) => Record<string, unknown> | undefined | Promise<Record<string, unknown> | undefined>;
}

export interface RunView {
  id: string;
  kind: RunKind;
  state: RunState;
  subject: string;
  createdAt: string;
  startedAt: string | null;
  endedAt: string | null;
  steps: { name: string; state: StepState; startedAt: string; endedAt: string | null; error: string | null; attempt: number }[];
  progress: Record<string, { doneBytes: number; totalBytes: number }>;
  /** The same by VM and in sum, with rates; null for a run that moves no data. */
  transfer: RunTransfer | null;
  warnings: string[];
  error: { code: string; message: string; subject: string | null; retryable: boolean } | null;
  result: Record<string, unknown> | null;
  organizationId: string;
  /** Set from the moment somebody asked for it; the state becomes `cancelled` when the clean-up is done. */
  cancelRequestedAt: string | null;
  /** How often a worker has begun this run; 0 until the first has. */
  attempt: number;
  /** 0 to 9; among the waiting runs of an organization the largest goes first. */
  priority: number;
  /** The run of which this one does again what failed. */
  retryOf: string | null;
  /** Grows with every change. */
  revision: number;
  /** Debts not yet paid, oldest first; after the run's end they are tried again until they are. */
  openObligations: OpenObligation[];
}

export interface OpenObligation {
  id: string;
  kind: string;
  createdAt: string;
  attempts: number;
  lastError: string | null;
  nextTryAt: string | null;
}
