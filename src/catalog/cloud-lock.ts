import type { EntityManager } from 'typeorm';

/**
 * Who is who in one cloud is settled by one transaction at a time: an inventory and a restore may
 * see the same new VM at the same moment, in different processes.
 * @returns the database's time, the one clock all processes share.
 */
export async function lockCloud(manager: EntityManager, cloudId: string): Promise<Date> {
  await manager.query(`SELECT pg_advisory_xact_lock(hashtextextended('catalog:' || $1, 0))`, [cloudId]);
  return databaseTime(manager);
}

export async function databaseTime(manager: EntityManager): Promise<Date> {
  const [row] = await manager.query<{ now: Date }[]>('SELECT clock_timestamp() AS now');
  return (row as { now: Date }).now;
}
