import { setImmediate as nextTurn } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import { CatalogService, isAttachedDisk, RetentionQueryService } from '../catalog/index.js';
import { type Clock, describeError, latestCredible, newId, withTimeout } from '../common/index.js';
import { PolicyClockStore } from './clock-store.js';
import { type Choosers, type CoveredObject, CoverageService, scheduleKey } from './coverage.service.js';
import { PolicyError } from './errors.js';
import { MetadataRefresh } from './metadata-refresh.service.js';
import { type LastRuns, type Occurrence, OccurrenceStore } from './occurrence-store.js';
import { type PolicyRequest, policyOf, type PreviewOptions } from './policy.dto.js';
import { CLOCK, PolicyService } from './policy.service.js';
import { dueFacts, hasCredibleDelay, type RoundFacts } from './policy-runs.service.js';
import type { Policy } from './policy-types.js';
import { RetentionService, retentionObject } from './retention.service.js';
import { upcoming, type WaitingRun } from './rules/due.js';
import type { EffectivePolicy } from './rules/effective.js';
import type { RetentionVerdict } from './rules/kept.js';
import { CLOUD_ACCESS, type CloudAccess, isRegistered, ScopeService } from './scope.service.js';

const METADATA_TIMEOUT_MS = 30_000;
const PAGE = 200;

export interface EffectiveView extends EffectivePolicy {
  vappId: string;
  vappName: string;
  organizationId: string;
  choice: { value: string; accepted: boolean } | null;
  /** Null: nothing makes it due. */
  nextRunAt: string | null;
  lastRestorePointAt: string | null;
  rpoMissedSince: string | null;
  /** Due times, newest first. */
  history: { dueAt: string; policyName: string; state: Occurrence['state']; attempt: number; runId: string; stopReason: string | null }[];
}

export interface PreviewedObject {
  vappId: string;
  name: string;
  organizationName: string;
  /** Names of the policies; null where none says anything. */
  scheduleFrom: string | null;
  retentionFrom: string | null;
  nextRuns: { dueAt: string; startAt: string }[];
  restorePoints: { id: string; createdAt: string; kept: boolean; reasons: string[] }[];
}

export interface PolicyPreview {
  /** What the policy would mean. */
  objectCount: number;
  /** Restore points that retention would remove now, also of objects that a change takes out of the policy. */
  removedCount: number;
  objects: PreviewedObject[];
  warnings: string[];
}

/** What policies mean, shown to people before and after. It makes no run and removes nothing. */
@Injectable()
export class PolicyViews {
  constructor(
    private readonly policies: PolicyService,
    private readonly coverage: CoverageService,
    private readonly occurrences: OccurrenceStore,
    private readonly retention: RetentionService,
    private readonly retained: RetentionQueryService,
    private readonly metadata: MetadataRefresh,
    private readonly clocks: PolicyClockStore,
    private readonly catalog: CatalogService,
    private readonly scopes: ScopeService,
    @Inject(CLOUD_ACCESS) private readonly clouds: CloudAccess,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** With its metadata as they are now, where VCD answers. @throws PolicyError POLICY_VAPP_NOT_FOUND. */
  async effective(vappId: string): Promise<EffectiveView> {
    const policies = await this.policies.all();
    const notes = await this.readMetadata(vappId, policies);
    const object = await this.coverage.ofVapp(vappId, policies);
    if (object === undefined) throw vappNotFound(vappId);
    const now = this.clock.now();
    const history = await this.occurrences.history(vappId, 10);
    const lastPoints = await this.retained.lastComplete(object.vapp.cloudId, now);
    const lastRuns = await this.occurrences.lastRuns([vappId], latestCredible(now));
    const open = await this.occurrences.open([vappId]);
    const round = { now, resumedAt: await this.clocks.resumedAt(), lastPoints };
    const [next] = nextRuns(object, round, lastRuns.get(vappId), open.get(vappId), 1);
    const { effective, vapp, choice, facts } = object;
    return {
      vappId,
      vappName: vapp.name,
      organizationId: vapp.organizationId,
      ...effective,
      warnings: [...effective.warnings, ...notes],
      choice: choice ?? null,
      nextRunAt: next?.startAt ?? null,
      lastRestorePointAt: lastPoints.get(vappId)?.toISOString() ?? null,
      rpoMissedSince: facts.rpoMissedSince?.toISOString() ?? null,
      history: history.map(({ dueAt, policyName, state, attempt, runId, stopReason }) => ({
        dueAt: dueAt.toISOString(),
        policyName,
        state,
        attempt,
        runId,
        stopReason: stopReason ?? null,
      })),
    };
  }

  /** @throws PolicyError POLICY_NOT_FOUND. */
  async preview(policyId: string, options: PreviewOptions, signal?: AbortSignal): Promise<PolicyPreview> {
    await this.policies.get(policyId);
    const policies = await this.policies.all();
    const policy = policies.find(({ id }) => id === policyId) as Policy;
    return await this.previewOf(policy, policies, options, signal);
  }

  /**
   * Of a policy that is not kept, as if it were.
   * @param replaces the one it would replace.
   * @throws PolicyError POLICY_NOT_FOUND; VcdError where its scope asks for metadata.
   */
  async previewUnsaved(
    request: PolicyRequest,
    replaces: string | undefined,
    options: PreviewOptions,
    signal?: AbortSignal,
  ): Promise<PolicyPreview> {
    const others = await this.policies.all();
    if (replaces !== undefined) await this.policies.get(replaces);
    const policy = policyOf(replaces ?? newId(), request);
    if (replaces === undefined) return await this.previewOf(policy, [...others, policy], options, signal);
    const policies = others.map((other) => (other.id === replaces ? policy : other));
    return await this.previewOf(policy, policies, options, signal, await this.meantToday(replaces, others, signal));
  }

  /** Objects for which a policy holds as it is kept, by cloud. */
  private async meantToday(policyId: string, policies: readonly Policy[], signal?: AbortSignal): Promise<Map<string, Set<string>>> {
    const vappIds = new Set<string>();
    const cloudId = policies.find(({ id }) => id === policyId)?.scope.cloudId ?? '';
    // Of a cloud that is not registered nothing is backed up and nothing removed, whatever its policies say.
    if (!(await isRegistered(this.clouds, cloudId))) return new Map();
    for await (const object of this.coverage.ofCloud(cloudId, policies, { signal }))
      if (isMeant(object, policyId)) vappIds.add(object.vapp.id);
    return new Map([[cloudId, vappIds]]);
  }

  private async previewOf(
    policy: Policy,
    policies: readonly Policy[],
    options: PreviewOptions,
    signal?: AbortSignal,
    meantToday: ReadonlyMap<string, ReadonlySet<string>> = new Map(),
  ): Promise<PolicyPreview> {
    const now = this.clock.now();
    const resumedAt = await this.clocks.resumedAt();
    const { items, excluded, warnings } = await this.scopes.resolve(policy.scope, signal);
    // What its backups would leave nothing of is ruled by it all the same.
    const carriers = policy.scope.metadata && {
      policyId: policy.id,
      vappIds: new Set([...items, ...excluded].map(({ vappId }) => vappId)),
    };
    const choosers = policy.offered ? await this.choosers(policy, signal) : undefined;
    const preview: PolicyPreview = { objectCount: 0, removedCount: 0, objects: [], warnings };
    let leaving = 0;
    for (const cloudId of new Set([policy.scope.cloudId, ...meantToday.keys()])) {
      const also = meantToday.get(cloudId);
      const lastPoints = await this.retained.lastComplete(cloudId, now);
      let page: CoveredObject[] = [];
      for await (const object of this.coverage.ofCloud(cloudId, policies, { signal, carriers, choosers, also })) {
        if (isMeant(object, policy.id)) preview.objectCount += 1;
        else if (also?.has(object.vapp.id)) leaving += 1;
        else continue;
        page.push(object);
        if (page.length < PAGE) continue;
        await this.addPage(preview, page, { now, resumedAt, lastPoints }, options);
        page = [];
      }
      await this.addPage(preview, page, { now, resumedAt, lastPoints }, options);
    }
    if (leaving === 0) return preview;
    const objects = leaving === 1 ? '1 object' : `${leaving} objects`;
    const sentence = `${objects} the policy means today, and would not mean any more; what holds for them then is shown and counted, too.`;
    return { ...preview, warnings: [...warnings, sentence] };
  }

  /** Who chooses a policy is read for those that are kept: of one that is not, VCD is asked now. */
  private async choosers({ name, scope }: Policy, signal?: AbortSignal): Promise<Choosers> {
    const metadata = [...(scope.metadata ?? []), this.coverage.choiceOf(name)];
    const { items, excluded } = await this.scopes.resolve({ ...scope, metadata }, signal);
    return { policyName: name, vappIds: new Set([...items, ...excluded].map(({ vappId }) => vappId)) };
  }

  private async addPage(
    preview: PolicyPreview,
    page: readonly CoveredObject[],
    round: RoundFacts,
    { count, limit }: PreviewOptions,
  ): Promise<void> {
    if (page.length === 0) return;
    const judged = await this.retention.judge(page.map(retentionObject), round.now);
    const vappIds = page.map(({ vapp }) => vapp.id);
    const lastRuns = await this.occurrences.lastRuns(vappIds, latestCredible(round.now));
    const open = await this.occurrences.open(vappIds);
    for (const object of page) {
      const { vapp, effective } = object;
      const points = object.retentionEnabled ? (judged.get(vapp.id) ?? []) : (judged.get(vapp.id) ?? []).map(keptWhileOff);
      preview.removedCount += points.filter(({ kept }) => !kept).length;
      if (preview.objects.length >= limit) continue;
      // A hundred runs of an object take tens of milliseconds, and leases are renewed between objects.
      await nextTurn();
      preview.objects.push({
        vappId: vapp.id,
        name: vapp.name,
        organizationName: vapp.organizationName,
        scheduleFrom: effective.schedule?.from?.policyName ?? null,
        retentionFrom: effective.retention?.from?.policyName ?? null,
        nextRuns: nextRuns(object, round, lastRuns.get(vapp.id), open.get(vapp.id), count),
        restorePoints: points.map(({ createdAt, ...point }) => ({ ...point, createdAt: createdAt.toISOString() })),
      });
    }
  }

  /** @returns a sentence where VCD could not be asked. */
  private async readMetadata(vappId: string, policies: readonly Policy[]): Promise<string[]> {
    const vapp = await this.catalog.vappDetail(vappId);
    if (vapp === undefined) throw vappNotFound(vappId);
    try {
      await withTimeout(`Reading the metadata of "${vapp.name}"`, METADATA_TIMEOUT_MS, undefined, (signal) =>
        this.metadata.refreshOne(vapp, policies, signal),
      );
      return [];
    } catch (error) {
      return [`Its metadata could not be read now, and what was read last holds: ${describeError(error)}`];
    }
  }
}

/** A policy that is switched off removes nothing. */
function keptWhileOff(point: RetentionVerdict): RetentionVerdict {
  return point.kept ? point : { ...point, kept: true, reasons: ['the policy that rules it is switched off'] };
}

function isMeant({ effective }: CoveredObject, policyId: string): boolean {
  return effective.policies.some((holding) => holding.policyId === policyId);
}

function nextRuns(
  object: CoveredObject,
  round: RoundFacts,
  last: LastRuns | undefined,
  open: Occurrence | undefined,
  count: number,
): { dueAt: string; startAt: string }[] {
  const { schedule } = object.effective;
  if (schedule === null || !object.scheduleEnabled || !object.vapp.present || isAttachedDisk(object.vapp)) return [];
  const { now } = round;
  // A schedule that is not the one in force begins now.
  const facts = scheduleKey(schedule.value) === object.facts.scheduleKey ? object.facts : { ...object.facts, sinceAt: now };
  const known = dueFacts({ ...object, facts }, schedule.value, round, last);
  // What is under way takes no more time, as what follows takes none.
  if (open?.state === 'made') known.lastPointAt = last?.lastBegunAt ?? known.lastPointAt;
  return upcoming(known, now, count, waitingRun(object, open, now)).map(({ dueAt, startAt }) => ({
    dueAt: dueAt.toISOString(),
    startAt: startAt.toISOString(),
  }));
}

function waitingRun(object: CoveredObject, open: Occurrence | undefined, now: Date): WaitingRun | undefined {
  return open?.state === 'waiting' && hasCredibleDelay(object, open, now) ? open : undefined;
}

function vappNotFound(vappId: string): PolicyError {
  return new PolicyError('POLICY_VAPP_NOT_FOUND', `There is no vApp with id ${vappId} in the catalog.`, `vApp ${vappId}`);
}
