import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { CatalogError, type RetainedPoint, RestorePointRemoval, RetentionQueryService } from '../catalog/index.js';
import { describeError, type Logger, VaultError } from '../common/index.js';
import { LOGGER } from '../config/index.js';
import { type RunContext, RunService } from '../jobs/index.js';
import { type CoveredObject, CoverageService } from './coverage.service.js';
import { PolicyService } from './policy.service.js';
import type { DeletedObjects, RetentionRule } from './policy-types.js';
import { judgeRetention, type RetentionVerdict } from './rules/kept.js';
import { isMass, VANISHING_MS } from './rules/vanishing.js';

/** Frozen into the run: by what rules it deletes. */
interface RetentionItem {
  vappId: string;
  vappName: string;
  policyName: string;
  rule: RetentionRule | null;
  deletedObjects: DeletedObjects;
}

interface RetentionPayload {
  organizationId: string;
  /**
   * ISO: the time by which it judges. A run that waited while no service was there, or whose worker's clock jumps, keeps what was to
   * be kept when it was asked for, and more.
   */
  judgedAt: string;
  items: RetentionItem[];
}

/** An object whose restore points are judged. */
export interface RetentionObject {
  vappId: string;
  cloudId: string;
  organizationId: string;
  rule: RetentionRule | undefined;
  deletedObjects: DeletedObjects;
  heldBy: string | undefined;
}

type HasLostMany = (place: Pick<RetentionObject, 'cloudId' | 'organizationId'>) => boolean;

interface Removal {
  restorePointId: string;
  vappName: string;
  createdAt: string;
  policyName: string;
  reasons: string[];
}

const PAGE = 200;
const MAX_REPORTED = 500;
/** A repository that is away is not asked for every single one. */
const MAX_FAILURES_IN_A_ROW = 5;
const KEPT_BACK = ['RESTORE_POINT_IN_USE', 'RESTORE_POINT_HOLD_CONFLICT', 'RESTORE_POINT_LOCK_CONFLICT', 'RESTORE_POINT_BUSY'];

/** Deletes what policies no longer keep, as runs with a report. Space is given back later, by a collection. */
@Injectable()
export class RetentionService implements OnModuleInit {
  constructor(
    private readonly dataSource: DataSource,
    private readonly retained: RetentionQueryService,
    private readonly removal: RestorePointRemoval,
    private readonly coverage: CoverageService,
    private readonly policies: PolicyService,
    private readonly runs: RunService,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  onModuleInit(): void {
    // Resumable: what is gone already is passed over, so it may be begun again from the same payload.
    this.runs.registerHandler('retention', (payload: RetentionPayload, run) => this.carryOut(payload, run), { resumable: true });
  }

  /**
   * A run for each organization of which something is to go, and the turn, in one transaction: who dies before its end has
   * taken nothing, and the next round begins again.
   * @param takeTurn whether these runs are the caller's to make.
   */
  async request(objects: Iterable<CoveredObject>, now: Date, takeTurn: (manager: EntityManager) => Promise<boolean>): Promise<void> {
    const wanted = await this.toGo(objects, now);
    const made = await this.dataSource.transaction(async (manager) => {
      if (!(await takeTurn(manager))) return 0;
      let count = 0;
      for (const [organizationId, { name, items }] of wanted) {
        const options = { organizationId, exclusiveKey: `retention:${organizationId}` };
        const payload = { organizationId, judgedAt: now.toISOString(), items };
        const runId = await this.runs.createWithin(manager, 'retention', `restore points of organization "${name}"`, payload, options);
        // The one under way may not know of the newest; the next look does.
        if (runId !== undefined) count += 1;
      }
      return count;
    });
    if (made > 0) this.runs.ring();
  }

  /** By organization, the objects of which something is to go. */
  private async toGo(objects: Iterable<CoveredObject>, now: Date): Promise<Map<string, { name: string; items: RetentionItem[] }>> {
    const byOrganization = new Map<string, { name: string; items: RetentionItem[] }>();
    const ruled = [...objects].filter(({ retentionEnabled, effective }) => retentionEnabled && !effective.legalHold.value);
    const hasLostMany = await this.thatLostMany(now);
    for (let at = 0; at < ruled.length; at += PAGE) {
      const page = ruled.slice(at, at + PAGE);
      const verdicts = await this.judge(page.map(retentionObject), now, hasLostMany);
      for (const object of page) {
        if (!(verdicts.get(object.vapp.id) ?? []).some(({ kept }) => !kept)) continue;
        const { organizationId, organizationName } = object.vapp;
        const found = byOrganization.get(organizationId) ?? { name: organizationName, items: [] };
        found.items.push(itemOf(object));
        byOrganization.set(organizationId, found);
      }
    }
    return byOrganization;
  }

  /**
   * What stays and what goes, newest first, by object.
   * @param known where many pages are judged one after the other: thousands that vanished are counted once.
   */
  async judge(objects: readonly RetentionObject[], now: Date, known?: HasLostMany): Promise<Map<string, RetentionVerdict[]>> {
    const ids = objects.map(({ vappId }) => vappId);
    const [points, vanished] = await Promise.all([this.retained.pointsOf(ids), this.retained.vanished(ids)]);
    const hasLostMany = known ?? (vanished.size === 0 ? () => false : await this.thatLostMany(now));
    const judged = new Map<string, RetentionVerdict[]>();
    for (const { vappId, rule, deletedObjects, heldBy, ...place } of objects) {
      const gone = vanished.get(vappId) ?? [];
      const facts = {
        now,
        rule,
        deletedObjects,
        heldBy,
        vappDeletedAt: gone.find(({ kind }) => kind === 'vapp')?.vanishedAt,
        amongMany: hasLostMany(place),
        deletedVms: gone.filter(({ kind }) => kind === 'vm').map(({ id, name, vanishedAt }) => ({ id, name, deletedAt: vanishedAt })),
      };
      const own = points.get(vappId) ?? [];
      const first = judgeRetention(own, facts);
      const goes = new Set(first.filter(({ kept }) => !kept).map(({ id }) => id));
      judged.set(vappId, goes.size === 0 ? first : judgeRetention(await this.withReaders(own, goes), facts));
    }
    return judged;
  }

  /** Organizations that lost so many objects lately that somebody may still come and say that it was no deletion. */
  private async thatLostMany(now: Date): Promise<HasLostMany> {
    const found = (await this.retained.vanishings(new Date(now.getTime() - VANISHING_MS))).filter(isMass);
    return ({ cloudId, organizationId }) => found.some((one) => one.cloudId === cloudId && one.organizationId === organizationId);
  }

  private async withReaders(points: readonly RetainedPoint[], goes: ReadonlySet<string>) {
    return await Promise.all(
      points.map(async (point) => (goes.has(point.id) ? { ...point, readBy: await this.retained.readerOf(point.id) } : point)),
    );
  }

  private async carryOut({ judgedAt, items }: RetentionPayload, run: RunContext): Promise<Record<string, unknown>> {
    const report = new RetentionReport(run);
    await run.step('Delete what policies no longer keep', async () => {
      const policies = await this.policies.all();
      for (const item of items) {
        run.signal.throwIfAborted();
        const object = await this.coverage.ofVapp(item.vappId, policies);
        if (object === undefined || !object.retentionEnabled || !sameRules(item, itemOf(object))) {
          // What a policy no longer says must not cost a restore point; the next run judges by what it says now.
          report.skip(
            item,
            `What policies say of "${item.vappName}" has changed since this run was asked for, so nothing of it was deleted; the next retention goes by what they say now.`,
          );
          continue;
        }
        await this.deleteOf(item, object, new Date(judgedAt), run, report);
      }
    });
    return report.result(items.length);
  }

  /** The oldest first: wherever it ends, what is left is what the rule would have kept, and more. */
  private async deleteOf(item: RetentionItem, object: CoveredObject, now: Date, run: RunContext, report: RetentionReport): Promise<void> {
    const verdicts = (await this.judge([retentionObject(object)], now)).get(item.vappId) ?? [];
    report.examined += verdicts.length;
    for (const { id, createdAt, reasons } of verdicts.filter(({ kept }) => !kept).toReversed()) {
      run.signal.throwIfAborted();
      const { vappName, policyName } = item;
      const removal = { restorePointId: id, vappName, createdAt: createdAt.toISOString(), policyName, reasons };
      try {
        await this.removal.remove(id, run.signal);
        report.removed(removal);
        this.log.info({ runId: run.runId, restorePointId: id, vapp: vappName, policy: policyName, reasons }, 'restore point expired');
      } catch (error) {
        report.failed(removal, error);
      }
    }
  }
}

/** What a run of retention tells of itself. */
class RetentionReport {
  examined = 0;
  private removedCount = 0;
  private failedCount = 0;
  private inARow = 0;
  private readonly removals: Removal[] = [];
  private readonly keptBack: (Omit<Removal, 'reasons'> & { reason: string })[] = [];
  private readonly skipped: { vappName: string; reason: string }[] = [];

  constructor(private readonly run: RunContext) {}

  skip({ vappName }: RetentionItem, reason: string): void {
    this.skipped.push({ vappName, reason });
  }

  removed(removal: Removal): void {
    this.removedCount += 1;
    this.inARow = 0;
    if (this.removals.length < MAX_REPORTED) this.removals.push(removal);
  }

  /** One that cannot be deleted keeps no other from going. @throws what was thrown, when it is the same for one after the other. */
  failed({ reasons: _reasons, ...removal }: Removal, error: unknown): void {
    if (error instanceof CatalogError && error.code === 'RESTORE_POINT_NOT_FOUND') return;
    if (error instanceof VaultError && KEPT_BACK.includes(error.code)) {
      if (this.keptBack.length < MAX_REPORTED) this.keptBack.push({ ...removal, reason: error.message });
      return;
    }
    this.failedCount += 1;
    this.inARow += 1;
    if (this.inARow >= MAX_FAILURES_IN_A_ROW) throw error;
    this.run.warn(`Restore point ${removal.restorePointId} of "${removal.vappName}" could not be deleted: ${describeError(error)}`);
  }

  result(objects: number): Record<string, unknown> {
    const { examined, removedCount: removed, failedCount: failed, removals, keptBack, skipped } = this;
    return { objects, examined, removed, failed, removals, keptBack, skipped };
  }
}

export function retentionObject({ vapp, effective }: CoveredObject): RetentionObject {
  return {
    vappId: vapp.id,
    cloudId: vapp.cloudId,
    organizationId: vapp.organizationId,
    rule: effective.retention?.value,
    deletedObjects: effective.deletedObjects.value,
    heldBy: effective.legalHold.from?.policyName,
  };
}

function itemOf({ vapp, effective }: CoveredObject): RetentionItem {
  return {
    vappId: vapp.id,
    vappName: vapp.name,
    policyName: (effective.retention ?? effective.deletedObjects).from?.policyName ?? '',
    rule: effective.retention?.value ?? null,
    deletedObjects: effective.deletedObjects.value,
  };
}

function sameRules(one: RetentionItem, other: RetentionItem): boolean {
  return JSON.stringify(sorted([one.rule, one.deletedObjects])) === JSON.stringify(sorted([other.rule, other.deletedObjects]));
}

/** jsonb keeps no order of keys. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
