import type { Logger } from '../common/index.js';
import type { CryptoLane } from './crypto-lane.js';
import { organizationFolder } from './format.js';
import type { OrganizationKeys } from './keys.js';
import { OrganizationIndex, type OrganizationPlace } from './organization-index.js';
import { RecordReader } from './record-reader.js';
import type { BlobStore } from './types.js';

/** One tenant's part of the repository: its keys, its index, its reader. Nothing is shared with another's. */
export class Organization {
  readonly place: OrganizationPlace;
  readonly index: OrganizationIndex;
  readonly reader: RecordReader;

  constructor(
    organizationId: string,
    keys: OrganizationKeys,
    readonly store: BlobStore,
    readonly lane: CryptoLane,
    log: Logger,
    indexMemoryBytes?: number,
  ) {
    this.place = { organizationId, prefix: `orgs/${organizationFolder(organizationId)}/`, keys };
    this.index = new OrganizationIndex(this.place, store, lane, log, indexMemoryBytes);
    this.reader = new RecordReader(this.place, this.index, store, lane);
  }
}
