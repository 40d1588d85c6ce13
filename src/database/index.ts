/**
 * PostgreSQL: a given one, or an embedded one that lives and dies with this process, brought to
 * today's schema; and TypeORM on top of it. It knows no entity: rooms bring their own.
 *
 * It promises that a started database answers and has every migration, that no server outlives
 * its service, and that no port is taken.
 */
export { databaseIdentity } from './database-identity.js';
export { bigint, safeInteger } from './columns.js';
export { connectionTo } from './connection.js';
export { DatabaseModule, type DataSourceSettings, dataSourceOptions } from './database.module.js';
export { DatabaseError, type DatabaseErrorCode } from './errors.js';
export { lockTransaction, tryLockTransaction, whileAlone } from './locks.js';
export { connectionLost } from './lost-connection.js';
export { migrate } from './migrate.js';
export { type Migration, migrations } from './migrations/index.js';
export { type DatabaseOptions, type RunningDatabase, startDatabase } from './start-database.js';
