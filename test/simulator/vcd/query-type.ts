import type { MetadataEntry } from './state.js';
import type { Viewer } from './views/viewer.js';

export type RecordValue = string | number | boolean | undefined;
/** Attribute of a record -> how its value is found; undefined is not written. */
export type FieldTable<T> = Readonly<Record<string, (entity: T, viewer: Viewer) => RecordValue>>;

/** One entity as the query service sees it. Values are found when they are asked for: a page shows 128 of 30,000. */
export interface QueryRow {
  readonly href: string;
  readonly id: string;
  readonly metadata: readonly MetadataEntry[];
  read(field: string): RecordValue;
}

export interface QueryType {
  /** Element name of a record. */
  record: string;
  reference: string;
  media: string;
  providerOnly: boolean;
  /** Attributes a filter may name, in the order they are written. */
  fields: readonly string[];
  defaultSort: string;
  rows: (viewer: Viewer) => QueryRow[];
}

export interface QueryTypeOf<T> {
  record: string;
  reference: string;
  media: string;
  providerOnly: boolean;
  /** Default: name. */
  defaultSort?: string;
  /** Only what the viewer may see. */
  list: (viewer: Viewer) => readonly T[];
  href: (entity: T, viewer: Viewer) => string;
  urn: (entity: T) => string;
  metadata?: (entity: T) => readonly MetadataEntry[];
  fields: FieldTable<T>;
}

export function queryType<T>(of: QueryTypeOf<T>): QueryType {
  const { record, reference, media, providerOnly, defaultSort = 'name' } = of;
  const rows = (viewer: Viewer): QueryRow[] => of.list(viewer).map((entity) => new EntityRow(of, entity, viewer));
  return { record, reference, media, providerOnly, defaultSort, fields: Object.keys(of.fields), rows };
}

class EntityRow<T> implements QueryRow {
  constructor(
    private readonly of: QueryTypeOf<T>,
    private readonly entity: T,
    private readonly viewer: Viewer,
  ) {}
  get href(): string {
    return this.of.href(this.entity, this.viewer);
  }
  get id(): string {
    return this.of.urn(this.entity);
  }
  get metadata(): readonly MetadataEntry[] {
    return this.of.metadata?.(this.entity) ?? [];
  }
  read(field: string): RecordValue {
    return Object.hasOwn(this.of.fields, field) ? this.of.fields[field]?.(this.entity, this.viewer) : undefined;
  }
}
