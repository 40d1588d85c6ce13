import type { CatalogApi } from '../catalog/index.js';
import type { CloudSessions, VddkUse } from '../clouds/index.js';
import type { ObligationService } from '../jobs/index.js';
import type { RepositoryApi } from '../repository/index.js';

/** What a backup is carried out with; the module puts it together. */
export interface BackupParts {
  catalog: CatalogApi;
  repository: RepositoryApi;
  vddk: VddkUse;
  /** Disks read at once share what an ESXi host gives (guide, NFC limits). */
  limits: { disksPerRun: number };
  sessions: (cloudId: string) => Promise<CloudSessions>;
  /** What runs owe, of whatever kind. */
  debts: Pick<ObligationService, 'owedByLivingRun' | 'oldestOpen' | 'oldestUnpaid'>;
}
