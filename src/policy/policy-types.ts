import type { BackupSettings } from './backup-settings.js';
import type { Scope } from './scope-types.js';

export const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Weekday = (typeof WEEKDAYS)[number];

/** A stretch of the day on a clock on the wall. `to` at or before `from` is on the day after. */
export interface DailyWindow {
  /** Those on which it begins; every day where nothing is said. */
  days?: Weekday[];
  /** HH:MM */
  from: string;
  to: string;
}

/** When backups begin: at the times of a cron expression, or as often as a recovery point objective asks. */
export interface PolicySchedule {
  /** Five fields: minute, hour, day of month, month, day of week. Either this or `rpoHours`. */
  cron?: string;
  /** No restore point should ever be older. */
  rpoHours?: number;
  /** IANA name: the clock on the wall that `cron` and the windows mean. */
  timeZone: string;
  /** Over how long the beginnings of one due time are spread. */
  spreadMinutes: number;
  /** Backups begin inside these only; any time where there are none. */
  runWindows?: DailyWindow[];
  /** Inside these no backup begins, and those under way are stopped. */
  stopWindows?: DailyWindow[];
}

/** What keeps a restore point; one part is enough. */
export interface RetentionRule {
  /** The newest complete ones. */
  keepLast?: number;
  /** What is younger. */
  keepDays?: number;
  /** The last complete one of each of that many weeks, months and years that have one. */
  weekly?: number;
  monthly?: number;
  yearly?: number;
  /** IANA name: whose weeks, months and years. */
  timeZone: string;
}

/** What becomes of restore points whose object was deleted in the cloud. */
export type AfterDeletion = { keep: 'retention' } | { keep: 'days'; days: number } | { keep: 'forever' };

export interface DeletedObjects {
  vapps: AfterDeletion;
  vms: AfterDeletion;
}

export interface RetryRule {
  /** Runs after the first one that failed in a way that may pass. */
  attempts: number;
  delayMinutes: number;
}

/** Every rule of a policy. One that is left out is inherited. */
export interface PolicyRules {
  schedule?: PolicySchedule;
  settings?: Partial<BackupSettings>;
  retry?: RetryRule;
  retention?: RetentionRule;
  legalHold?: boolean;
  lockDays?: number;
  deletedObjects?: DeletedObjects;
}

/** From the widest to the nearest; what is nearer to an object overrules what is wider. */
export const POLICY_LEVELS = ['provider', 'organization', 'vdc', 'vapp'] as const;
export type PolicyLevel = (typeof POLICY_LEVELS)[number];

export interface Policy {
  /** Sorts by time of making. */
  id: string;
  name: string;
  scope: Scope;
  /** One that is switched off still rules over the same objects: it makes no run and removes nothing. */
  enabled: boolean;
  /** Holds only for objects in its scope whose tenants chose it. */
  offered: boolean;
  rules: PolicyRules;
}
