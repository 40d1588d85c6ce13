import type { EntityManager } from 'typeorm';

/**
 * Takes an advisory lock until the end of the transaction. Its holder may stop in the middle (a paused machine, a line that
 * was cut), and everybody else would wait for as long as TCP does, which is hours: so a transaction that asks for nothing
 * for `idleTimeoutMs` is ended by PostgreSQL, and the lock with it.
 */
export async function lockTransaction(manager: EntityManager, key: number, idleTimeoutMs: number): Promise<void> {
  await manager.query(`SELECT set_config('idle_in_transaction_session_timeout', $2, true), pg_advisory_xact_lock($1)`, [
    key,
    `${idleTimeoutMs}`,
  ]);
}
