import type { ObjectLiteral, SelectQueryBuilder } from 'typeorm';
import { decodeCursor, type Page, pageOf } from './cursor.js';

/** What every listing of the inventory can be narrowed by. */
export interface InventoryFilter {
  cloudId?: string;
  organizationId?: string;
  vdcId?: string;
  /** Part of the name, in any case. */
  name?: string;
  /** Whether the last inventory saw it. */
  present?: boolean;
}

/** @param alias of the table in the query; it has the columns of the filter. */
export function narrow<T extends ObjectLiteral>(
  found: SelectQueryBuilder<T>,
  alias: string,
  filter: InventoryFilter,
): SelectQueryBuilder<T> {
  const { cloudId, organizationId, vdcId, name, present } = filter;
  if (cloudId !== undefined) found.andWhere(`${alias}.cloud_id = :cloudId`, { cloudId });
  if (organizationId !== undefined) found.andWhere(`${alias}.organization_id = :organizationId`, { organizationId });
  if (vdcId !== undefined) found.andWhere(`${alias}.vdc_id = :vdcId`, { vdcId });
  if (name !== undefined) found.andWhere(`strpos(lower(${alias}.name), lower(:name)) > 0`, { name });
  if (present !== undefined) found.andWhere(`${alias}.present = :present`, { present });
  return found;
}

/**
 * One page of raw rows, by name, then id.
 * @param alias of the table with both.
 * @throws CatalogError CURSOR_INVALID.
 */
export async function pageByName<R extends { id: string; name: string }, T>(
  found: SelectQueryBuilder<ObjectLiteral>,
  alias: string,
  { limit, cursor }: { limit: number; cursor?: string },
  show: (row: R) => T,
): Promise<Page<T>> {
  if (cursor !== undefined) {
    const [afterName, afterId] = decodeCursor(cursor);
    found.andWhere(`(${alias}.name, ${alias}.id) > (:afterName, :afterId)`, { afterName, afterId });
  }
  const rows = await found
    .orderBy(`${alias}.name`)
    .addOrderBy(`${alias}.id`)
    .limit(limit + 1)
    .getRawMany<R>();
  return pageOf(rows, limit, (row) => [row.name, row.id], show);
}
