import { ACTIVITY_QUERY_TYPES } from './activity-records.js';
import { CATALOG_QUERY_TYPES } from './catalog-records.js';
import { INFRASTRUCTURE_QUERY_TYPES } from './infrastructure-records.js';
import type { QueryType } from './query-type.js';
import { VAPP_QUERY_TYPES } from './vapp-records.js';

/** Every type the query service knows, by its case-sensitive name; attributes are those of queryRecordView.xsd. */
export const QUERY_TYPES: Readonly<Record<string, QueryType>> = {
  ...INFRASTRUCTURE_QUERY_TYPES,
  ...VAPP_QUERY_TYPES,
  ...CATALOG_QUERY_TYPES,
  ...ACTIVITY_QUERY_TYPES,
};
