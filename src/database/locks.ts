import type { DataSource, EntityManager } from 'typeorm';

/**
 * Advisory locks over all processes. A holder may stop in the middle (a paused machine, a line that was cut), and everybody
 * else would wait for as long as TCP does, which is hours: so a transaction that asks for nothing for `idleTimeoutMs` is ended
 * by PostgreSQL, and its lock with it.
 */
const LIMIT = `set_config('idle_in_transaction_session_timeout', $2, true)`;
const IDLE_TIMEOUT_MS = 60_000;

/** Waits for the lock; it is held until the end of the transaction, which is idle for a minute at most: nobody's statement waits two. */
export async function lockTransaction(manager: EntityManager, key: number, idleTimeoutMs: number): Promise<void> {
  await manager.query(`SELECT ${LIMIT}, pg_advisory_xact_lock($1)`, [key, `${Math.min(idleTimeoutMs, IDLE_TIMEOUT_MS)}`]);
}

/** As `lockTransaction`, without waiting. @returns false when another transaction has it. */
export async function tryLockTransaction(manager: EntityManager, key: number, idleTimeoutMs = IDLE_TIMEOUT_MS): Promise<boolean> {
  const [row]: { locked: boolean }[] = await manager.query(`SELECT ${LIMIT}, pg_try_advisory_xact_lock($1) AS locked`, [
    key,
    `${idleTimeoutMs}`,
  ]);
  return row?.locked === true;
}

/**
 * Does `work`, which has transactions of its own, unless another process does the same just now. Signs of life keep the lock
 * however long it takes.
 * @returns false when another one has the lock.
 */
export async function whileAlone(
  dataSource: DataSource,
  key: number,
  work: () => Promise<void>,
  idleTimeoutMs = IDLE_TIMEOUT_MS,
): Promise<boolean> {
  const runner = dataSource.createQueryRunner();
  await runner.connect();
  try {
    await runner.startTransaction();
    if (!(await tryLockTransaction(runner.manager, key, idleTimeoutMs))) return false;
    const signOfLife = setInterval(() => runner.query('SELECT 1').catch(() => undefined), idleTimeoutMs / 4);
    try {
      await work();
    } finally {
      clearInterval(signOfLife);
    }
    return true;
  } finally {
    // It wrote nothing, and PostgreSQL may have ended it: that is no fault of the work.
    await runner.rollbackTransaction().catch(() => undefined);
    await runner.release();
  }
}
