import { Inject, Injectable } from '@nestjs/common';
import { isAttachedDisk, RetentionQueryService } from '../catalog/index.js';
import { type Clock, describeError } from '../common/index.js';
import { CONFIG, type VaultConfig } from '../config/index.js';
import { type Heartbeat, PolicyClockStore, type Turn } from './clock-store.js';
import { type CoveredObject, CoverageService, scheduleKey } from './coverage.service.js';
import { cloudNotLookedAt } from './errors.js';
import { MetadataRefresh } from './metadata-refresh.service.js';
import { type ObjectFacts, PolicyObjectStore } from './object-store.js';
import { OccurrenceStore } from './occurrence-store.js';
import { PolicyRuns } from './policy-runs.service.js';
import { CLOCK, isNotRead, PolicyService } from './policy.service.js';
import type { Policy } from './policy-types.js';
import { RetentionService } from './retention.service.js';
import { missedRpoSince } from './rules/missed-rpo.js';
import { CLOUD_ACCESS, type CloudAccess, isRegistered } from './scope.service.js';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/**
 * After a silence this long, a jump of the clock, or a rebuild of the catalog, nothing is deleted for as long: people may see what is wrong
 * first, and enter again the policies that went with the database.
 */
const LONG_PAUSE_MS = DAY_MS;
const REMEMBERED_MS = 400 * DAY_MS;

/** What every worker does again and again: sees what policies mean today, and makes what is due. */
@Injectable()
export class PolicyRounds {
  constructor(
    private readonly policies: PolicyService,
    private readonly coverage: CoverageService,
    private readonly objects: PolicyObjectStore,
    private readonly occurrences: OccurrenceStore,
    private readonly runs: PolicyRuns,
    private readonly retention: RetentionService,
    private readonly retained: RetentionQueryService,
    private readonly metadata: MetadataRefresh,
    private readonly clocks: PolicyClockStore,
    @Inject(CLOUD_ACCESS) private readonly clouds: CloudAccess,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Pick<VaultConfig, 'policies'>,
  ) {}

  /** One round; where another process is in one, nothing. */
  async round(signal: AbortSignal): Promise<void> {
    await this.clocks.alone(() => this.alone(signal));
  }

  /** Asks VCD for metadata when it is time; apart from the rounds, which must not wait for a VCD. */
  async refreshMetadata(signal: AbortSignal): Promise<void> {
    const policies = await this.policies.all();
    if (policies.length === 0) return;
    const everyMs = this.config.policies.metadataRefreshMinutes * MINUTE_MS;
    if (!(await this.clocks.takeTurn({ what: 'metadata_at', now: this.clock.now(), everyMs }))) return;
    await this.metadata.refresh(policies, signal);
  }

  private async alone(signal: AbortSignal): Promise<void> {
    const { tickMs } = this.config.policies;
    const tick = (now: Date) => this.clocks.tick(now, Math.max(5 * MINUTE_MS, 3 * tickMs));
    const now = this.clock.now();
    const heartbeat = await tick(now);
    // A round may last longer than what counts as a pause; one that fails to say so is heard with the next.
    let under: Promise<unknown> | undefined;
    const signOfLife = setInterval(() => {
      under ??= tick(this.clock.now())
        .catch(() => undefined)
        .finally(() => {
          under = undefined;
        });
    }, tickMs);
    try {
      await this.look(now, heartbeat, signal);
      await this.clocks.noteEnd();
    } catch (error) {
      // Where the database is away it cannot be noted, and time tells.
      if (!signal.aborted) await this.clocks.noteEnd(describeError(error)).catch(() => undefined);
      throw error;
    } finally {
      clearInterval(signOfLife);
      await under;
    }
  }

  private async look(now: Date, { resumedAt, pausedMs }: Heartbeat, signal: AbortSignal): Promise<void> {
    const policies = await this.policies.all();
    const { objects, lastPoints, registered, failure } = await this.survey(policies, now, signal);
    await this.retained.noteVanished(registered, now);
    const notRead = new Set(policies.filter(isNotRead).map(({ scope }) => scope.cloudId));
    await this.learn(objects.values(), lastPoints, notRead, now);
    await this.runs.followUp(objects, now, { isComplete: failure === undefined });
    const present = [...objects.values()].filter(({ vapp }) => registered.includes(vapp.cloudId));
    signal.throwIfAborted();
    await this.runs.begin(present, { now, resumedAt, lastPoints });
    const turn: Turn = { what: 'retention_at', now, everyMs: this.config.policies.retentionMinutes * MINUTE_MS };
    const isSettled = pausedMs < LONG_PAUSE_MS || isLongAgo(resumedAt, now);
    if (isSettled && (await this.clocks.isDue(turn)) && isLongAgo(await this.retained.lastAdoption(), now)) {
      // A policy that began to depend on metadata means nobody until VCD was asked: a wider one must not judge in its place.
      const notRead = await this.policies.cloudsNotRead();
      const known = present.filter(({ vapp }) => !notRead.has(vapp.cloudId));
      await this.retention.request(known, now, (manager) => this.clocks.takeTurn(turn, manager));
      await this.occurrences.forget(new Date(now.getTime() - REMEMBERED_MS));
    }
    if (failure !== undefined) throw failure;
  }

  /** What policies mean in each cloud. One that cannot be looked at keeps no other from it: nothing of it is among what is found. */
  private async survey(policies: readonly Policy[], now: Date, signal: AbortSignal): Promise<Survey> {
    const survey: Survey = { objects: new Map(), lastPoints: new Map(), registered: [], failure: undefined };
    for (const cloudId of new Set([...policies.map(({ scope }) => scope.cloudId), ...(await this.objects.ruledClouds())])) {
      try {
        const isThere = await isRegistered(this.clouds, cloudId);
        const covered: CoveredObject[] = [];
        for await (const object of this.coverage.ofCloud(cloudId, policies, { signal })) covered.push(object);
        for (const [vappId, at] of await this.retained.lastComplete(cloudId, now)) survey.lastPoints.set(vappId, at);
        for (const object of covered) survey.objects.set(object.vapp.id, object);
        if (isThere) survey.registered.push(cloudId);
      } catch (error) {
        signal.throwIfAborted();
        survey.failure ??= cloudNotLookedAt(cloudId, error);
      }
    }
    return survey;
  }

  /**
   * Writes down what changed: since when a schedule holds or is lost, who holds restore points, whose restore points are too old, whose
   * choice is refused.
   * @param notRead clouds whose VCD has not said yet whom policies mean.
   */
  private async learn(
    objects: Iterable<CoveredObject>,
    lastPoints: ReadonlyMap<string, Date>,
    notRead: ReadonlySet<string>,
    now: Date,
  ): Promise<void> {
    const changed: ObjectFacts[] = [];
    for (const object of objects) {
      const { id, cloudId } = object.vapp;
      const learned = rulesOf(object, { lastPointAt: lastPoints.get(id), isRead: !notRead.has(cloudId) }, now);
      if (!sameRules(object.facts, learned)) changed.push(learned);
      object.facts = learned;
    }
    await this.objects.saveRules(changed);
  }
}

interface Survey {
  /** By id. */
  objects: Map<string, CoveredObject>;
  lastPoints: Map<string, Date>;
  /** Clouds that are there. */
  registered: string[];
  /** Of the first cloud that could not be looked at. */
  failure: Error | undefined;
}

/** Also what lies in the future: the clock was wrong then, or is now. */
function isLongAgo(at: Date | undefined, now: Date): boolean {
  return at === undefined || Math.abs(now.getTime() - at.getTime()) >= LONG_PAUSE_MS;
}

function rulesOf(
  { facts, effective, scheduleEnabled, choice, vapp }: CoveredObject,
  { lastPointAt, isRead }: { lastPointAt: Date | undefined; isRead: boolean },
  now: Date,
): ObjectFacts {
  const heldBy = effective.legalHold.from?.policyName;
  const choiceRefusedAt = choice?.accepted === false ? (facts.choiceRefusedAt ?? (isRead ? now : undefined)) : undefined;
  // Whether the schedule that it had still holds is VCD's to say.
  if (!isRead && effective.schedule === null && facts.scheduleKey !== undefined) return { ...facts, heldBy, choiceRefusedAt };
  const schedule = scheduleEnabled ? effective.schedule : null;
  const key = schedule === null ? undefined : scheduleKey(schedule.value);
  const sinceAt = key === undefined ? undefined : key === facts.scheduleKey ? (facts.sinceAt ?? now) : now;
  const isOwed = schedule !== null && sinceAt !== undefined && vapp.present && !isAttachedDisk(vapp);
  return {
    ...facts,
    scheduleKey: key,
    schedulePolicy: effective.schedule?.from?.policyName,
    sinceAt,
    heldBy,
    rpoMissedSince: isOwed
      ? missedRpoSince({ schedule: schedule.value, sinceAt, lastPointAt, missedSince: facts.rpoMissedSince }, now)
      : undefined,
    choiceRefusedAt,
    ...lossOf(facts, key, now),
  };
}

function lossOf(facts: ObjectFacts, key: string | undefined, now: Date): Pick<ObjectFacts, 'scheduleLostAt' | 'lostPolicy'> {
  if (key !== undefined) return { scheduleLostAt: undefined, lostPolicy: undefined };
  const { scheduleKey: hadKey, schedulePolicy, scheduleLostAt, lostPolicy } = facts;
  return hadKey === undefined ? { scheduleLostAt, lostPolicy } : { scheduleLostAt: now, lostPolicy: schedulePolicy };
}

function sameRules(one: ObjectFacts, other: ObjectFacts): boolean {
  return (
    one.scheduleKey === other.scheduleKey &&
    one.schedulePolicy === other.schedulePolicy &&
    one.sinceAt?.getTime() === other.sinceAt?.getTime() &&
    one.heldBy === other.heldBy &&
    one.rpoMissedSince?.getTime() === other.rpoMissedSince?.getTime() &&
    one.choiceRefusedAt?.getTime() === other.choiceRefusedAt?.getTime() &&
    one.scheduleLostAt?.getTime() === other.scheduleLostAt?.getTime()
  );
}
