import { backupOperations } from './backup-operations.js';
import { catalogRestores } from './catalog-restores.js';
import { firstClassDiskRestores } from './first-class-disk-restores.js';
import { maintenanceOperations } from './maintenance-operations.js';
import type { Operation } from './operation.js';
import { restoreOperations } from './restore-operations.js';
import { siteOperations } from './site-operations.js';

/** All that is interrupted. */
export const operations: readonly Operation[] = [
  ...backupOperations,
  ...restoreOperations,
  ...catalogRestores,
  ...firstClassDiskRestores,
  ...maintenanceOperations,
  ...siteOperations,
];

/** @throws Error where there is none of that name. */
export function operationNamed(name: string): Operation {
  const operation = operations.find((candidate) => candidate.name === name);
  if (operation === undefined) throw new Error(`There is no operation "${name}"`);
  return operation;
}
