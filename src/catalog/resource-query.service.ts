import { Injectable } from '@nestjs/common';
import { DataSource, type ObjectLiteral, type SelectQueryBuilder } from 'typeorm';
import { MIB } from '../common/index.js';
import type { CloudResourceKind } from '../vcd/index.js';
import { decodeCursor, type Page, pageOf } from './cursor.js';
import { type InventoryFilter, narrow } from './inventory-filter.js';
import { CloudResourceEntity, NamedDiskEntity } from './inventory.entities.js';
import type { CloudResourceView, NamedDiskView } from './types.js';

export interface ResourceQuery extends InventoryFilter {
  /** Of resources; named disks have none. */
  kind?: CloudResourceKind;
  limit: number;
  cursor?: string;
}

/** What stands around vApps, for people: what the last inventory saw, by name. */
@Injectable()
export class ResourceQueryService {
  constructor(private readonly dataSource: DataSource) {}

  /** @throws CatalogError CURSOR_INVALID. */
  async resources(query: ResourceQuery): Promise<Page<CloudResourceView>> {
    const found = this.dataSource.manager.createQueryBuilder(CloudResourceEntity, 'r');
    if (query.kind !== undefined) found.andWhere('r.kind = :kind', { kind: query.kind });
    return page(found, query, ({ lastSeenAt: _seen, ...resource }) => resource);
  }

  /** @throws CatalogError CURSOR_INVALID. */
  async namedDisks(query: ResourceQuery): Promise<Page<NamedDiskView>> {
    const found = this.dataSource.manager.createQueryBuilder(NamedDiskEntity, 'r');
    return page(found, query, ({ lastSeenAt: _seen, sizeMib, ...disk }) => ({ ...disk, sizeBytes: sizeMib * MIB }));
  }
}

/** One page by name, then id; the cloud is part of the order because two clouds may show one vCenter under one id. */
async function page<R extends ObjectLiteral & { id: string; name: string; cloudId: string }, T>(
  found: SelectQueryBuilder<R>,
  query: ResourceQuery,
  show: (row: R) => T,
): Promise<Page<T>> {
  narrow(found, 'r', query);
  if (query.cursor !== undefined) {
    const [afterName, afterKey] = decodeCursor(query.cursor);
    found.andWhere("(r.name, r.id || ' ' || r.cloud_id) > (:afterName, :afterKey)", { afterName, afterKey });
  }
  const rows = await found
    .orderBy('r.name')
    .addOrderBy("r.id || ' ' || r.cloud_id")
    .limit(query.limit + 1)
    .getMany();
  return pageOf(rows, query.limit, (row) => [row.name, `${row.id} ${row.cloudId}`], show);
}
