import type { DataSource } from 'typeorm';

/** Whether there is any, for whoever asks before this room is there. */
export async function knowsRestorePoints(dataSource: DataSource): Promise<boolean> {
  const found: unknown[] = await dataSource.query('SELECT 1 FROM restore_points LIMIT 1');
  return found.length > 0;
}
