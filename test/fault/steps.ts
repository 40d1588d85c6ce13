import { createHash } from 'node:crypto';
import type { DoorName, GatedRequest, NotedRequest } from '../simulator/request-gate.js';
import { FAULTS, type Fault } from './faults.js';

/** A way in which an operation touches the world outside it: requests that differ in nothing but which object they are about. */
export interface Step {
  /** `vcd POST /api/vApp/vapp-…/action/enterMaintenanceMode` */
  readonly name: string;
  readonly door: DoorName;
  readonly changes: boolean;
  readonly makesTask: boolean;
  /** How often an undisturbed run comes by. */
  readonly occurrences: number;
}

/** One fault at one occurrence of one step. */
export interface Point {
  readonly step: string;
  readonly door: DoorName;
  readonly fault: Fault;
  /** Which occurrence, from 1. */
  readonly number: number;
}

/** In the order in which they first came. */
export function stepsOf(noted: readonly NotedRequest[]): Step[] {
  const steps = new Map<string, Step>();
  for (const request of noted) {
    const name = stepName(request);
    const { makesTask = false, occurrences = 0 } = steps.get(name) ?? {};
    steps.set(name, {
      name,
      door: request.door,
      changes: changes(request),
      makesTask: makesTask || request.makesTask,
      occurrences: occurrences + 1,
    });
  }
  return [...steps.values()];
}

/** Every fault at every occurrence of what changes something; of what only reads, at the first and the last. */
export function pointsOf(steps: readonly Step[]): Point[] {
  return steps.flatMap(({ name, door, changes: all, makesTask, occurrences }) => {
    const every = Array.from({ length: occurrences }, (_, i) => i + 1);
    const numbers = all ? every : every.filter((number) => number === 1 || number === occurrences);
    const faults = FAULTS.filter(({ order }) => makesTask || order.effect !== 'fail-task');
    return numbers.flatMap((number) => faults.map((fault) => ({ step: name, door, fault, number })));
  });
}

export interface Sample {
  /** One point in so many. */
  every: number;
  /** Which of the `every` samples, from 1 on: together they are all points, and no two share one. */
  part: number;
}

/**
 * The same points each time. No stride: five faults stand at most steps, and each fifth, tenth or twentieth point
 * would be the same fault everywhere.
 */
export function sampleOf(points: readonly Point[], { every, part }: Sample): Point[] {
  const ranked = points.map((point) => ({ point, rank: rankOf(point) })).sort((one, other) => (one.rank < other.rank ? -1 : 1));
  const size = Math.ceil(points.length / every);
  const chosen = new Set(ranked.slice((part - 1) * size, part * size).map(({ point }) => point));
  return points.filter((point) => chosen.has(point));
}

function rankOf({ step, number, fault }: Point): string {
  return createHash('sha256').update(`${step} ${number} ${fault.name}`).digest('hex');
}

/** Names of objects differ from run to run: what is left of them is their kind. */
export function stepName({ door, method, object }: GatedRequest): string {
  return `${door} ${method} ${kindOf(object)}`.trimEnd();
}

function kindOf(object: string): string {
  const folder = /^\/folder\/.*(\.[a-z]+)$/i.exec(object);
  if (folder) return `/folder/…${folder[1]}`;
  if (/^\[[^\]]*\] /.test(object)) return 'disk';
  return object
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi, '…')
    .replace(/[0-9a-f]{16,}/gi, '…')
    .replace(/\b(vm|task|snapshot|group|datastore|host|domain|session|filter|collector|view)(-?[a-z]?)\d+/gi, '$1$2…')
    .replace(/…-[0-9a-f]{8}\b/gi, '…');
}

/** Not `write`: a disk's are all alike, and what they leave is told by `written`. */
const CHANGING_VIX = new Set(['prepareForAccess', 'endAccess', 'cleanup', 'open', 'close', 'written', 'setMetadata']);

/** Whether each occurrence leaves something else behind than the one before it; what a session keeps is nothing. */
export function changes({ door, method, object }: GatedRequest): boolean {
  switch (door) {
    case 'vcd':
      return method !== 'GET' && !/^\/(?:oauth|cloudapi\/1\.0\.0\/sessions|api\/sessions?)(?:\/|$)/.test(object);
    case 'vcenter':
      return (/_Task$/.test(method) && !/^Search/.test(method)) || /^(?:PUT|DELETE) /.test(method);
    case 'vix':
      return CHANGING_VIX.has(method);
    // What only reads does not come by there.
    case 'database':
    case 'repository':
      return true;
  }
}
