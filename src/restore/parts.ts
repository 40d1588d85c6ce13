import type { CatalogApi, CatalogService } from '../catalog/index.js';
import type { CloudSessions, VddkUse } from '../clouds/index.js';
import type { ObligationService } from '../jobs/index.js';
import type { RepositoryApi } from '../repository/index.js';

/** What a restore is carried out with; the module puts it together. */
export interface RestoreParts {
  catalog: CatalogApi & Pick<CatalogService, 'vappDetail' | 'restorePointToRead' | 'formerVappHrefs'>;
  repository: RepositoryApi;
  vddk: VddkUse;
  /** What runs owe, of whatever kind. */
  debts: Pick<ObligationService, 'oldestUnpaid'>;
  sessions: (cloudId: string) => Promise<CloudSessions>;
}
