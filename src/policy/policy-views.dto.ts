import { z } from 'zod';
import { POLICY_LEVELS } from './policy-types.js';

const time = z.iso.datetime();
const source = z
  .object({
    policyId: z.string(),
    policyName: z.string(),
    level: z.enum(POLICY_LEVELS),
    chosen: z.boolean().meta({ description: 'By metadata of the object' }),
  })
  .meta({ id: 'PolicySource' });
const rule = z
  .object({ value: z.unknown(), from: source.nullable().meta({ description: 'Null: no policy says it; it is the default' }) })
  .meta({ id: 'EffectiveRule' });

export const effectiveViewSchema = z
  .object({
    vappId: z.string(),
    vappName: z.string(),
    organizationId: z.string(),
    policies: z.array(source).meta({ description: 'Nearest first' }),
    schedule: rule.nullable().meta({ description: 'Null: nothing backs it up by itself' }),
    settings: z.record(z.string(), rule),
    retry: rule,
    retention: rule.nullable().meta({ description: 'Null: all its restore points stay' }),
    legalHold: rule,
    deletedObjects: rule,
    choice: z.object({ value: z.string(), accepted: z.boolean() }).nullable().meta({ description: "The tenant's, by metadata" }),
    warnings: z.array(z.string()),
    nextRunAt: time.nullable(),
    lastRestorePointAt: time.nullable().meta({ description: 'Of the newest complete one' }),
    rpoMissedSince: time.nullable(),
    history: z
      .array(
        z.object({
          dueAt: time,
          policyName: z.string(),
          state: z.enum(['made', 'waiting', 'done', 'failed', 'cancelled', 'superseded']),
          attempt: z.int().min(1),
          runId: z.string(),
          stopReason: z.string().nullable(),
        }),
      )
      .meta({ description: 'The last ten due times, newest first' }),
  })
  .meta({ id: 'EffectivePolicy' });

export const policyPreviewSchema = z
  .object({
    objectCount: z.int().min(0).meta({ description: 'Objects that the policy means' }),
    removedCount: z
      .int()
      .min(0)
      .meta({ description: 'Restore points that retention would remove now, also of objects that a change takes out of the policy' }),
    objects: z.array(
      z.object({
        vappId: z.string(),
        name: z.string(),
        organizationName: z.string(),
        scheduleFrom: z.string().nullable().meta({ description: 'The policy whose schedule it has' }),
        retentionFrom: z.string().nullable(),
        nextRuns: z.array(
          z.object({ dueAt: time, startAt: time.meta({ description: 'With its place in the spread, inside the windows' }) }),
        ),
        restorePoints: z.array(z.object({ id: z.string(), createdAt: time, kept: z.boolean(), reasons: z.array(z.string()) })),
      }),
    ),
    warnings: z.array(z.string()),
  })
  .meta({ id: 'PolicyPreview' });

export const missedRpoListSchema = z
  .object({
    items: z.array(
      z.object({
        vappId: z.string(),
        vappName: z.string(),
        organizationId: z.string(),
        policyName: z.string(),
        sinceAt: time,
        lastRestorePointAt: time.nullable(),
      }),
    ),
  })
  .meta({ id: 'MissedRpoList' });
