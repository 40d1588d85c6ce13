/** What a statement changes. */
export interface Change {
  verb: string;
  table: string;
}

/**
 * Statements that come by the clock, however little happens: one of them in the middle of an operation would move every number behind
 * it, and none of them is a step of the operation.
 */
const BY_THE_CLOCK: readonly { what: string; pattern: RegExp }[] = [
  { what: 'a worker says that it lives', pattern: /^(?:INSERT INTO|DELETE FROM) workers\b/i },
  { what: 'leases renewed', pattern: /^UPDATE runs SET lease_expires_at = / },
  { what: 'a lost lease looked for', pattern: /^UPDATE runs SET lease_owner = \$1/ },
  { what: 'times after the clock went back', pattern: /^WITH times AS/ },
  // Coalesced: how many there are depends on how fast the database answers.
  { what: 'progress', pattern: /^UPDATE "runs" SET "steps" = / },
  { what: 'claims renewed', pattern: /^UPDATE obligations SET claimed_until = now\(\)/ },
  { what: 'second looks that are due', pattern: /^UPDATE obligations SET settled_at = NULL, next_try_at = NULL, look_again_at = NULL/ },
  { what: 'stray permits', pattern: /^DELETE FROM permits WHERE id = ANY/ },
  { what: 'holds renewed and forgotten', pattern: /^(?:UPDATE|DELETE FROM) restore_point_holds\b.*\bexpires_at\b/is },
  { what: 'rounds of policies', pattern: /\bpolicy_(?:clock|objects|occurrences)\b|\bvanished_objects\b/ },
  { what: 'schedules looked at', pattern: /\bmaintenance_schedule\b/ },
  { what: 'alerts looked after', pattern: /\balert(?:s|_messages|_looks)\b/ },
  { what: 'inventories looked at', pattern: /\bclouds\b.*\binventory_/is },
  { what: "pg-boss's own upkeep", pattern: /\bpgboss\.(?:version|queue|archive|subscription|schedule)\b/ },
];

const CHANGE = /(?<!\bFOR\s)(?<!\bFOR NO KEY\s)(?<!\bDO\s)\b(INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+(?:ONLY\s+)?("?\w+"?(?:\."?\w+"?)?)/i;

/** The first thing the statement changes; undefined for one that only asks, or comes by the clock. */
export function changeOf(sql: string): Change | undefined {
  const text = sql.replace(/^(?:\s+|--[^\n]*\n|\/\*.*?\*\/)+/s, '');
  if (!/^(?:INSERT|UPDATE|DELETE|WITH)\b/i.test(text)) return undefined;
  const found = CHANGE.exec(text);
  if (found === null || BY_THE_CLOCK.some(({ pattern }) => pattern.test(text))) return undefined;
  const [, verb = '', table = ''] = found;
  return { verb: (verb.split(/\s/)[0] as string).toUpperCase(), table: table.replaceAll('"', '') };
}

export function commits(sql: string): boolean {
  return /^\s*(?:COMMIT|END)\b/i.test(sql);
}
