import type { EntityManager, EntityTarget, ObjectLiteral } from 'typeorm';

/**
 * Writes many rows by one statement with one parameter: TypeORM's own upsert makes a parameter of every value, which
 * was most of what an inventory of tens of thousands of rows cost.
 * @param key the properties of a unique index: a row that is there already is overwritten, or left alone with `keep`
 * @param rows whole rows; no two of the same key
 */
export async function upsertRows<T extends ObjectLiteral>(
  manager: EntityManager,
  entity: EntityTarget<T>,
  key: readonly (keyof T & string)[],
  rows: readonly T[],
  conflict: 'overwrite' | 'keep' = 'overwrite',
): Promise<void> {
  if (rows.length === 0) return;
  const { tableName, columns } = manager.connection.getMetadata(entity);
  const isKey = (property: string) => (key as readonly string[]).includes(property);
  const names = columns.map(({ databaseName }) => databaseName);
  const keyNames = columns.filter(({ propertyName }) => isKey(propertyName)).map(({ databaseName }) => databaseName);
  const others = columns.filter(({ propertyName }) => !isKey(propertyName)).map(({ databaseName }) => databaseName);
  const change = conflict === 'keep' ? 'NOTHING' : `UPDATE SET ${others.map((name) => `${name} = EXCLUDED.${name}`).join(', ')}`;
  // PostgreSQL reads each value as what its column is: jsonb_populate_recordset knows the table's row type.
  const values = rows.map((row) => Object.fromEntries(columns.map(({ databaseName, propertyName }) => [databaseName, row[propertyName]])));
  await manager.query(
    `INSERT INTO ${tableName} (${names.join(', ')})
     SELECT ${names.join(', ')} FROM jsonb_populate_recordset(NULL::${tableName}, $1::jsonb)
         ON CONFLICT (${keyNames.join(', ')}) DO ${change}`,
    [JSON.stringify(values)],
  );
}
