import { clouds } from './0001-clouds.js';
import { catalog } from './0002-catalog.js';
import { jobs } from './0003-jobs.js';
import { access } from './0004-access.js';
import { inventory } from './0005-inventory.js';
import { cloudAccounts } from './0006-cloud-accounts.js';
import { secondLook } from './0007-second-look.js';
import { secondSiteAndSchedules } from './0008-second-site-and-schedules.js';
import { policies } from './0009-policies.js';
import { runQueueAndAlerts } from './0010-run-queue-and-alerts.js';
import { firstClassDisks } from './0011-first-class-disks.js';
import { catalogRebuild } from './0012-catalog-rebuild.js';
import { restorePointHolds } from './0013-restore-point-holds.js';
import { organizationKeys } from './0014-organization-keys.js';
import { waitsAndAdoptions } from './0015-waits-and-adoptions.js';
import { databaseIdentity } from './0016-database-identity.js';
import { attemptsAndSilences } from './0017-attempts-and-silences.js';
import { alertMessageOrder } from './0018-alert-message-order.js';
import { alertLooks } from './0019-alert-looks.js';
import { deletionsAndHolds } from './0020-deletions-and-holds.js';
import { halfWrittenDisks } from './0021-half-written-disks.js';
import { forgottenRuns } from './0022-forgotten-runs.js';
import { refusedChoices } from './0023-refused-choices.js';
import { lostSchedules } from './0024-lost-schedules.js';
import { looksThatFail } from './0025-looks-that-fail.js';
import type { Migration } from './migration.js';

export type { Migration } from './migration.js';

/**
 * Every change of the schema, in the order it is applied. Append only: a released migration is
 * never edited (its text is checked against what was applied) and never reordered.
 */
export const migrations: readonly Migration[] = [
  clouds,
  catalog,
  jobs,
  access,
  inventory,
  cloudAccounts,
  secondLook,
  secondSiteAndSchedules,
  policies,
  runQueueAndAlerts,
  firstClassDisks,
  catalogRebuild,
  restorePointHolds,
  organizationKeys,
  waitsAndAdoptions,
  databaseIdentity,
  attemptsAndSilences,
  alertMessageOrder,
  alertLooks,
  deletionsAndHolds,
  halfWrittenDisks,
  forgottenRuns,
  refusedChoices,
  lostSchedules,
  looksThatFail,
];
