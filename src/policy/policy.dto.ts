import { z } from 'zod';
import { backupSettingsSchema, type BackupSettings } from './backup-settings.js';
import { type Policy, type PolicyRules, POLICY_LEVELS, WEEKDAYS } from './policy-types.js';
import { cronOf } from './rules/fire-times.js';
import { openingAfter } from './rules/windows.js';
import { isTimeZone } from './rules/zoned-time.js';
import { scopeSchema } from './scope.dto.js';

const time = z.iso.datetime();
const timeZone = z.string().max(100).refine(isTimeZone, 'must be an IANA time zone, such as Europe/Berlin').default('UTC');
const clock = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'must be HH:MM');
const windowSchema = z
  .strictObject({
    days: z.array(z.enum(WEEKDAYS)).min(1).optional().meta({ description: 'Days on which it begins; every day where nothing is said' }),
    from: clock,
    to: clock.meta({ description: 'At or before `from`: on the day after' }),
  })
  .meta({ id: 'DailyWindow' });
const windows = (what: string) => z.array(windowSchema).min(1).max(50).optional().meta({ description: what });

const scheduleSchema = z
  .strictObject({
    cron: z.string().max(200).optional().meta({ description: 'Minute, hour, day of month, month, day of week' }),
    rpoHours: z.number().min(0.25).max(8760).optional().meta({ description: 'Instead of `cron`: no restore point should ever be older' }),
    timeZone,
    spreadMinutes: z.int().min(0).max(1440).default(30).meta({ description: 'Over how long the beginnings of one due time are spread' }),
    runWindows: windows('Backups begin inside these only'),
    stopWindows: windows('Inside these none begins, and those under way are stopped'),
  })
  .superRefine((schedule, context) => {
    const { cron, rpoHours } = schedule;
    if ((cron === undefined) === (rpoHours === undefined)) {
      context.addIssue({ code: 'custom', message: 'must have either `cron` or `rpoHours`' });
    }
    const fault = cron === undefined || !isTimeZone(schedule.timeZone) ? undefined : cronFault(cron, schedule.timeZone);
    if (fault !== undefined) context.addIssue({ code: 'custom', path: ['cron'], message: fault });
    if (isTimeZone(schedule.timeZone) && openingAfter(withoutUndefined(schedule), new Date()) === undefined) {
      context.addIssue({ code: 'custom', path: ['stopWindows'], message: 'must leave some time in which backups may run' });
    }
  })
  .meta({ id: 'PolicySchedule' });

const count = z.int().min(1).max(10_000).optional();
const retentionSchema = z
  .strictObject({
    keepLast: count.meta({ description: 'The newest complete ones' }),
    keepDays: z.int().min(1).max(36_500).optional().meta({ description: 'What is younger' }),
    weekly: count.meta({ description: 'The last complete one of each of so many weeks (ISO 8601) that have one' }),
    monthly: count.meta({ description: 'The same of months' }),
    yearly: count.meta({ description: 'The same of years' }),
    timeZone,
  })
  .refine((rule) => rule.keepLast ?? rule.keepDays ?? rule.weekly ?? rule.monthly ?? rule.yearly, {
    message: 'must have at least one of `keepLast`, `keepDays`, `weekly`, `monthly` and `yearly`',
  })
  .meta({ id: 'RetentionRule' });

const afterDeletion = z.discriminatedUnion('keep', [
  z.strictObject({ keep: z.literal('retention') }),
  z.strictObject({ keep: z.literal('days'), days: z.int().min(1).max(36_500) }),
  z.strictObject({ keep: z.literal('forever') }),
]);

const rules = {
  schedule: scheduleSchema.optional(),
  settings: partialSettings().optional().meta({ description: 'Settings of its backups, as of POST /backups; each is inherited by itself' }),
  retry: z
    .strictObject({ attempts: z.int().min(0).max(10), delayMinutes: z.int().min(1).max(1440) })
    .optional()
    .meta({ description: 'Runs after one that failed in a way that may pass' }),
  retention: retentionSchema.optional(),
  legalHold: z.boolean().optional().meta({ description: 'Nothing of its objects is deleted, whatever another policy says' }),
  lockDays: z.int().min(0).max(36_500).optional().meta({ description: 'How long nobody can delete a restore point made from now on' }),
  deletedObjects: z
    .strictObject({ vapps: afterDeletion.default({ keep: 'retention' }), vms: afterDeletion.default({ keep: 'retention' }) })
    .optional()
    .meta({ description: 'What becomes of restore points of a vApp, and of the last one of a VM, that was deleted in the cloud' }),
};

export const policyRequestSchema = z
  .strictObject({
    name: z.string().trim().min(1).max(100),
    scope: scopeSchema,
    enabled: z.boolean().default(true).meta({ description: 'Switched off it makes no run and removes nothing' }),
    offered: z.boolean().default(false).meta({ description: 'Holds only where a tenant chose it by metadata' }),
    ...rules,
  })
  .meta({ id: 'PolicyRequest' });
export type PolicyRequest = z.output<typeof policyRequestSchema>;

export const policyQuerySchema = z.strictObject({ cloudId: z.string().optional() });
export const effectiveQuerySchema = z.strictObject({ vapp: z.string().meta({ description: 'Our id of the vApp' }) });
const previewOptions = {
  count: z.int().min(1).max(100).default(5).meta({ description: 'Next runs shown of each object' }),
  limit: z.int().min(1).max(1000).default(100).meta({ description: 'Objects shown; the counts are of all' }),
};
export const policyPreviewRequestSchema = z
  .strictObject({
    policy: policyRequestSchema,
    replaces: z.string().optional().meta({ description: 'Id of the policy it would replace; without it, one more' }),
    ...previewOptions,
  })
  .meta({ id: 'PolicyPreviewRequest' });
export const previewOptionsSchema = z.strictObject(previewOptions).prefault({}).meta({ id: 'PolicyPreviewOptions' });
export type PreviewOptions = z.output<typeof previewOptionsSchema>;

export const policySchema = z
  .object({
    id: z.string(),
    name: z.string(),
    level: z.enum(POLICY_LEVELS),
    scope: z.record(z.string(), z.unknown()).meta({ description: 'As it was sent' }),
    enabled: z.boolean(),
    offered: z.boolean(),
    rules: z
      .record(z.string(), z.unknown())
      .meta({ description: 'schedule, settings, retry, retention, legalHold, lockDays, deletedObjects: those it has' }),
    createdAt: time,
    updatedAt: time,
  })
  .meta({ id: 'Policy' });
export const policyListSchema = z.object({ items: z.array(policySchema) }).meta({ id: 'PolicyList' });

/** What a request says, as it is kept. */
export function policyOf(id: string, { name, scope, enabled, offered, ...given }: PolicyRequest): Policy {
  return { id, name, scope: withoutUndefined(scope) as Policy['scope'], enabled, offered, rules: withoutUndefined(given) as PolicyRules };
}

function partialSettings(): z.ZodType<Partial<BackupSettings>> {
  const { lockDays: _lockDays, ...shape } = backupSettingsSchema.shape;
  const optional = Object.entries(shape).map(([name, schema]) => [name, withoutDefault(schema as z.ZodType).optional()]);
  return z.strictObject(Object.fromEntries(optional)).meta({ id: 'PolicySettings' }) as unknown as z.ZodType<Partial<BackupSettings>>;
}

/** A default would say something where the policy says nothing, and nothing could be inherited. */
function withoutDefault(schema: z.ZodType): z.ZodType {
  let inner = schema;
  while (inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault || inner instanceof z.ZodOptional)
    inner = inner.unwrap() as z.ZodType;
  return schema.description === undefined ? inner : inner.describe(schema.description);
}

function cronFault(expression: string, zone: string): string | undefined {
  const must = 'must be a cron expression of five fields';
  // croner also takes a date, which as a schedule never comes, and nicknames.
  if (expression.trim().split(/\s+/).length !== 5) return `${must}, such as "30 2 * * *"`;
  try {
    return cronOf(expression, zone).nextRun() === null ? 'must name a time that comes' : undefined;
  } catch (error) {
    return `${must}: ${(error as Error).message}`;
  }
}

function withoutUndefined<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}
