import type { Route } from '../router.js';
import { affinityRoutes } from './affinity-routes.js';
import { catalogRoutes } from './catalog-routes.js';
import { diskRoutes } from './disk-routes.js';
import { extensionRoutes } from './extension-routes.js';
import { mediaRoutes } from './media-routes.js';
import { metadataRoutes } from './metadata-routes.js';
import { organizationRoutes } from './organization-routes.js';
import { queryRoutes } from './query-routes.js';
import { snapshotRoutes } from './snapshot-routes.js';
import { vappRoutes } from './vapp-routes.js';
import { vmRoutes } from './vm-routes.js';

/** Every resource below /api; the first that matches answers. */
export const ROUTES: readonly Route[] = [
  ...vappRoutes,
  ...vmRoutes,
  ...mediaRoutes,
  ...catalogRoutes,
  ...snapshotRoutes,
  ...diskRoutes,
  ...affinityRoutes,
  ...metadataRoutes,
  ...organizationRoutes,
  ...extensionRoutes,
  ...queryRoutes,
];
