import type { CatalogApi } from '../catalog/index.js';
import type { CloudSessions } from '../clouds/index.js';
import type { RepositoryApi } from '../repository/index.js';
import type { VddkSettings } from '../vddk/index.js';

/** What a backup is carried out with; the module puts it together. */
export interface BackupParts {
  catalog: CatalogApi;
  repository: RepositoryApi;
  vddk: VddkSettings & { transportModes: string };
  /** Disks read at once share what an ESXi host gives (guide, NFC limits). */
  limits: { disksPerRun: number };
  sessions: (cloudId: string) => Promise<CloudSessions>;
}
