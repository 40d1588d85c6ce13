import type { GateOrder } from '../simulator/request-gate.js';

/** What happens at a step. */
export interface Fault {
  readonly name: FaultName;
  /** Who asked is killed while its request is held; else it lives and is told, or not told, what became of it. */
  readonly kills: boolean;
  readonly order: Pick<GateOrder, 'moment' | 'effect' | 'delayMs'>;
}

export type FaultName = 'killed-before' | 'killed-after' | 'dropped-before' | 'dropped-after' | 'fails-late' | 'task-fails-late';

/** Longer than anything here takes, shorter than a lease. */
const LATE_MS = 300;

/** The columns of the table. */
export const FAULTS: readonly Fault[] = [
  { name: 'killed-before', kills: true, order: { moment: 'before', effect: 'hold' } },
  { name: 'killed-after', kills: true, order: { moment: 'after', effect: 'hold' } },
  { name: 'dropped-before', kills: false, order: { moment: 'before', effect: 'drop' } },
  { name: 'dropped-after', kills: false, order: { moment: 'after', effect: 'drop' } },
  { name: 'fails-late', kills: false, order: { moment: 'after', effect: 'fail', delayMs: LATE_MS } },
  // Only where the answer names a task: it does its work, and then it ends in an error.
  { name: 'task-fails-late', kills: false, order: { moment: 'after', effect: 'fail-task' } },
];
