import { z } from 'zod';
import type { RunKind, RunState, RunView } from './types.js';

const RUN_KINDS = [
  'backup',
  'restore',
  'verify',
  'gc',
  'retention',
  'rebuild-catalog',
  'copy',
  'hold',
] as const satisfies readonly RunKind[];
const RUN_STATES = ['queued', 'running', 'succeeded', 'warning', 'failed', 'cancelled'] as const satisfies readonly RunState[];

const time = z.iso.datetime();
const json = z.record(z.string(), z.unknown());

const transferSchema = z.object({
  doneBytes: z.number().min(0),
  totalBytes: z.number().min(0),
  bytesPerSecond: z.number().nullable().meta({ description: 'Over the last half minute; of a run that has ended, over all of it' }),
  secondsLeft: z.number().nullable().meta({ description: 'null while nobody can tell: nothing moves, or the last disk has not begun' }),
});

export const runViewSchema = z
  .object({
    id: z.string(),
    kind: z.enum(RUN_KINDS),
    state: z.enum(RUN_STATES),
    subject: z.string().meta({ description: 'What the run is about, as a person knows it' }),
    organizationId: z.string(),
    createdAt: time,
    startedAt: time.nullable(),
    endedAt: time.nullable(),
    cancelRequestedAt: time.nullable(),
    attempt: z.int().min(0).meta({ description: 'How often a worker has begun it; a run whose worker died is begun again' }),
    priority: z.int().min(0).max(9).meta({ description: 'Among the waiting runs of an organization the largest goes first' }),
    retryOf: z.string().nullable().meta({ description: 'The run of which this one does again what failed' }),
    revision: z.int().min(0).meta({ description: 'Grows with every change' }),
    steps: z.array(
      z.object({
        name: z.string(),
        state: z.enum(['running', 'done', 'failed']),
        startedAt: time,
        endedAt: time.nullable(),
        error: z.string().nullable(),
        attempt: z.int().min(1),
      }),
    ),
    progress: z
      .record(z.string(), z.object({ doneBytes: z.number().min(0), totalBytes: z.number().min(0) }))
      .meta({ description: 'Bytes by disk, such as "web-1/Hard disk 1"' }),
    transfer: transferSchema
      .extend({ vms: z.array(transferSchema.extend({ name: z.string(), disks: z.array(transferSchema.extend({ name: z.string() })) })) })
      .nullable()
      .meta({ description: 'The same in sum and by VM, with rates; disks that are not begun yet are not in it' }),
    warnings: z.array(z.string()),
    error: z.object({ code: z.string(), message: z.string(), subject: z.string().nullable(), retryable: z.boolean() }).nullable(),
    result: json.nullable(),
    openObligations: z
      .array(
        z.object({
          id: z.string(),
          kind: z.string(),
          createdAt: time,
          attempts: z.int().min(0),
          lastError: z.string().nullable(),
          nextTryAt: time.nullable(),
        }),
      )
      .meta({ description: 'What the run still owes to VCD or vCenter; tried again until it is paid' }),
  })
  .meta({ id: 'Run' });

export const runPageSchema = z.object({ items: z.array(runViewSchema), nextCursor: z.string().nullable() }).meta({ id: 'RunPage' });

export const runQuerySchema = z.strictObject({
  state: z.enum(RUN_STATES).optional(),
  kind: z.enum(RUN_KINDS).optional(),
  cursor: z.string().max(64).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
});
export type RunQuery = z.output<typeof runQuerySchema>;

/** The schema and the type are two texts of one contract; this line fails to compile when they part. */
type Same<A, B> = [A, B] extends [B, A] ? true : never;
export const schemaMatchesView: Same<z.output<typeof runViewSchema>, RunView> = true;
