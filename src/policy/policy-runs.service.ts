import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { isAttachedDisk, subjectOf } from '../catalog/index.js';
import { describeError, latestCredible, type Logger, newId } from '../common/index.js';
import { LOGGER } from '../config/index.js';
import { JobsError, RunService, type RunStanding } from '../jobs/index.js';
import type { BackupPayload } from './backup-settings.js';
import type { CoveredObject } from './coverage.service.js';
import { type LastRuns, type Occurrence, OccurrenceStore } from './occurrence-store.js';
import type { PolicySchedule } from './policy-types.js';
import { type DueFacts, nextDue, placeInSpread, startAgain } from './rules/due.js';
import { type PolicySource, settingsOf } from './rules/effective.js';
import { mayRun, mustStop } from './rules/windows.js';

/** One round makes no more: the next one comes in seconds, and other work of the database goes between. */
const MAX_RUNS_PER_ROUND = 500;
/** Below what a person asks for by hand. */
const PRIORITY = 4;

/** What a round knows beside the objects. */
export interface RoundFacts {
  now: Date;
  resumedAt: Date | undefined;
  /** Of the newest complete restore point, by object. */
  lastPoints: ReadonlyMap<string, Date>;
}

/** Makes the runs that policies ask for, each exactly once, and sees to them until they have ended. */
@Injectable()
export class PolicyRuns implements OnModuleInit {
  constructor(
    private readonly dataSource: DataSource,
    private readonly occurrences: OccurrenceStore,
    private readonly runs: RunService,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  onModuleInit(): void {
    this.runs.registerReferences((runIds) => this.occurrences.runsNamed(runIds));
  }

  /**
   * @param objects by id; all for which a policy holds.
   * @param known.isComplete whether an object that is not among them is one for which no policy holds.
   */
  async followUp(objects: ReadonlyMap<string, CoveredObject>, now: Date, known: { isComplete: boolean }): Promise<void> {
    const open = [...(await this.occurrences.open()).values()];
    const made = open.filter(({ state }) => state === 'made');
    // Switched on again, a policy begins with its next time.
    const forgotten = open.filter(
      ({ state, vappId }) => state === 'waiting' && (known.isComplete || objects.has(vappId)) && !isAskedFor(objects.get(vappId)),
    );
    for (const occurrence of forgotten) await this.occurrences.giveUp(occurrence);
    const standings = await this.runs.standings(made.map(({ runId }) => runId));
    for (const occurrence of made) {
      const object = objects.get(occurrence.vappId);
      if (object === undefined && !known.isComplete) continue;
      const standing = standings.get(occurrence.runId);
      if (standing !== undefined && !isOver(standing)) {
        const reason = whyStop(object, occurrence, standing, now);
        if (reason !== undefined) await this.stop(occurrence, reason);
      } else await this.occurrences.conclude(occurrence, endOf(occurrence, standing, object, now));
    }
  }

  /** @returns how many runs it made. */
  async begin(objects: readonly CoveredObject[], facts: RoundFacts): Promise<number> {
    const open = await this.occurrences.open();
    const vappIds = objects.map(({ vapp }) => vapp.id);
    const lastRuns = await this.occurrences.lastRuns(vappIds, latestCredible(facts.now));
    const openings = new Map<PolicySchedule, boolean>();
    const found: DueObject[] = [];
    for (const object of objects) {
      const { schedule } = object.effective;
      if (schedule?.from == null || !object.vapp.present || !isEnabled(object) || isAttachedDisk(object.vapp)) continue;
      const occurrence = open.get(object.vapp.id);
      if (occurrence?.state === 'made') continue;
      // Thousands of objects share a schedule, and time zones are costly to ask.
      const isOpen = openings.get(schedule.value) ?? mayRun(schedule.value, facts.now);
      openings.set(schedule.value, isOpen);
      if (!isOpen) continue;
      const last = lastRuns.get(object.vapp.id);
      const due = dueNow(object, schedule.value, facts, last, occurrence);
      if (due === undefined) continue;
      const waitsSince = last?.lastBegunAt ?? object.facts.sinceAt ?? facts.now;
      found.push({ object, from: schedule.from, due, waitsSince, place: placeInSpread(object.vapp.id) });
    }
    // Runs of one priority go by their ids: of those made in one round, who has waited longest is served first.
    found.sort((one, other) => one.waitsSince.getTime() - other.waitsSince.getTime() || one.place - other.place);
    let made = 0;
    for (const { object, from, due } of found) {
      if (made >= MAX_RUNS_PER_ROUND) break;
      if (await this.make(object, from, due, facts.now)) made += 1;
    }
    if (made > 0) this.runs.ring();
    return made;
  }

  /** The occurrence and its run in one transaction: both, or neither. */
  private async make(object: CoveredObject, from: PolicySource, due: DueRun, now: Date): Promise<boolean> {
    const { vapp } = object;
    const occurrence = { vappId: vapp.id, dueAt: due.dueAt, policyId: from.policyId, policyName: from.policyName, madeAt: now };
    try {
      return await this.dataSource.transaction(async (manager) => {
        const taken = due.again ? await this.occurrences.takeAgain(manager, occurrence) : await this.occurrences.take(manager, occurrence);
        if (!taken) return false;
        const runId = await this.runs.createWithin(manager, 'backup', subjectOf(vapp), payloadOf(object, from, due.dueAt), {
          organizationId: vapp.organizationId,
          exclusiveKey: `vapp:${vapp.id}`,
          priority: PRIORITY,
        });
        if (runId === undefined) throw new BusyObject();
        await this.occurrences.setRun(manager, occurrence, runId);
        return true;
      });
    } catch (error) {
      // A restore, or a backup by hand, has it: the due time stays untaken, and the next round asks again.
      if (error instanceof BusyObject) return false;
      this.log.warn({ vapp: vapp.name, policy: from.policyName, reason: describeError(error) }, 'a run that is due could not be made');
      return false;
    }
  }

  /** Each round anew until it has ended: whoever noted the reason may have died before it asked. */
  private async stop(occurrence: Occurrence, reason: string): Promise<void> {
    if (occurrence.stopReason === undefined) await this.occurrences.setStopReason(occurrence, reason);
    try {
      await this.runs.cancel(occurrence.runId, reason);
    } catch (error) {
      // It ended meanwhile: the next round sees how.
      if (!(error instanceof JobsError && (error.code === 'RUN_ENDED' || error.code === 'RUN_NOT_FOUND'))) throw error;
    }
  }
}

/** What decides an object's due times, as far as it is known here. */
export function dueFacts(object: CoveredObject, schedule: PolicySchedule, facts: RoundFacts, last: LastRuns | undefined): DueFacts {
  const { id } = object.vapp;
  return {
    schedule,
    vappId: id,
    sinceAt: object.facts.sinceAt ?? facts.now,
    lastDueAt: last?.lastDueAt,
    lastBegunAt: last?.lastBegunAt,
    lastDurationMs: last?.lastDurationMs,
    lastPointAt: facts.lastPoints.get(id),
    resumedAt: facts.resumedAt,
  };
}

/** Whether the policy whose schedule it is makes runs. */
export function isEnabled({ effective, scheduleEnabled }: Pick<CoveredObject, 'effective' | 'scheduleEnabled'>): boolean {
  return effective.schedule !== null && scheduleEnabled;
}

function isAskedFor(object: CoveredObject | undefined): boolean {
  return object !== undefined && isEnabled(object);
}

interface DueRun {
  dueAt: Date;
  /** A due time that had a run already. */
  again: boolean;
}

interface DueObject {
  object: CoveredObject;
  from: PolicySource;
  due: DueRun;
  waitsSince: Date;
  place: number;
}

class BusyObject extends Error {}

function dueNow(
  object: CoveredObject,
  schedule: PolicySchedule,
  facts: RoundFacts,
  last: LastRuns | undefined,
  waiting: Occurrence | undefined,
): DueRun | undefined {
  const { now } = facts;
  const next = keepsTurn(object, schedule, waiting, now) ? undefined : nextDue(dueFacts(object, schedule, facts, last), now);
  // Left out, and the window is open again: in its place in the spread it would come too late again, night after night.
  const startAt = waiting?.leftOut === true ? next?.dueAt : next?.startAt;
  if (next !== undefined && startAt !== undefined && startAt <= now) return { dueAt: next.dueAt, again: false };
  if (waiting === undefined) return undefined;
  if (waiting.leftOut) return { dueAt: waiting.dueAt, again: true };
  const againAt = startAgain(schedule, object.vapp.id, waiting.notBefore ?? now);
  return againAt !== undefined && againAt <= now ? { dueAt: waiting.dueAt, again: true } : undefined;
}

/** An objective has no times of its own: what waits to be begun again is its next attempt, and keeps its delay. */
function keepsTurn(object: CoveredObject, { rpoHours }: PolicySchedule, waiting: Occurrence | undefined, now: Date): boolean {
  return rpoHours !== undefined && waiting !== undefined && hasCredibleDelay(object, waiting, now);
}

/** A delay that is longer than any was written down while a clock was ahead. */
export function hasCredibleDelay({ effective }: CoveredObject, { notBefore }: Occurrence, now: Date): boolean {
  const latestMs = latestCredible(now).getTime() + effective.retry.value.delayMinutes * 60_000;
  return notBefore === undefined || notBefore.getTime() <= latestMs;
}

function payloadOf(object: CoveredObject, { policyId, policyName }: PolicySource, dueAt: Date): Record<string, unknown> {
  const settings = settingsOf(object.effective);
  const exclude = {
    vms: [...settings.exclude.vms, ...object.exclude.vms],
    disks: [...settings.exclude.disks, ...object.exclude.disks],
  };
  const payload: BackupPayload = {
    vappId: object.vapp.id,
    restorePointId: newId(),
    settings: { ...settings, exclude },
    policy: { id: policyId, name: policyName, dueAt: dueAt.toISOString() },
  };
  return { ...payload };
}

/** Why a run that has not ended must; undefined where it may go on. */
function whyStop(object: CoveredObject | undefined, { policyName }: Occurrence, { state }: RunStanding, now: Date): string | undefined {
  const schedule = object?.effective.schedule;
  if (!object || !schedule || !isEnabled(object)) {
    return state === 'queued' ? `Policy "${policyName}" does not ask for this backup any more.` : undefined;
  }
  const { value, from } = schedule;
  const name = from?.policyName ?? policyName;
  if (mustStop(value, now)) return `Policy "${name}" lets no backup run at this time; it is begun again when it may.`;
  if (state === 'queued' && !mayRun(value, now))
    return `It did not begin before the window of policy "${name}" closed; it is begun again in the next one.`;
  return undefined;
}

/** @param now by the clock of policies: the run's own times are the database's. */
function endOf({ attempt, stopReason }: Occurrence, standing: RunStanding | undefined, object: CoveredObject | undefined, now: Date) {
  if (standing === undefined) return { state: 'done' } as const;
  const { state, error, startedAt, endedAt } = standing;
  if (state === 'succeeded' || state === 'warning') {
    return { state: 'done', durationMs: startedAt && endedAt ? endedAt.getTime() - startedAt.getTime() : undefined } as const;
  }
  // Where nothing asks for it any more, it is not begun again.
  if (object === undefined || !isAskedFor(object)) return { state: state === 'cancelled' ? 'cancelled' : 'failed' } as const;
  if (state === 'cancelled') {
    return stopReason === undefined
      ? ({ state: 'cancelled' } as const)
      : ({ state: 'waiting', notBefore: now, leftOut: startedAt === null } as const);
  }
  const { attempts, delayMinutes } = object.effective.retry.value;
  if (error?.retryable !== true || attempt > attempts) return { state: 'failed' } as const;
  return { state: 'waiting', notBefore: new Date(now.getTime() + delayMinutes * 60_000) } as const;
}

function isOver({ state }: RunStanding): boolean {
  return state !== 'queued' && state !== 'running';
}
