import type { DataSource } from 'typeorm';

/**
 * Which database this is among all there are: the server's own identifier, which a dump that is restored elsewhere does not bring along,
 * and the database's number in it.
 */
export async function databaseIdentity(dataSource: DataSource): Promise<string> {
  const [row] = await dataSource.query<{ id: string }[]>(
    `SELECT system_identifier::text || '-' || (SELECT oid FROM pg_database WHERE datname = current_database())::text AS id FROM pg_control_system()`,
  );
  return (row as { id: string }).id;
}
