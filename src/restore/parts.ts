import type { CatalogApi, CatalogService } from '../catalog/index.js';
import type { CloudSessions } from '../clouds/index.js';
import type { RepositoryApi } from '../repository/index.js';
import type { VddkSettings } from '../vddk/index.js';

/** What a restore is carried out with; the module puts it together. */
export interface RestoreParts {
  catalog: CatalogApi & Pick<CatalogService, 'vappDetail'>;
  repository: RepositoryApi;
  vddk: VddkSettings & { transportModes: string };
  sessions: (cloudId: string) => Promise<CloudSessions>;
}
