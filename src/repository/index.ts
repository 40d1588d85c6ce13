/**
 * Backup storage: blob stores, chunks, packs, disk indexes, documents, manifests, and the keys
 * that keep organizations apart (docs/repository-format.md).
 *
 * It knows no VM, no vCloud and no database, and schedules nothing: deleting a manifest frees its
 * space when the collector has run twice (docs/concurrency.md).
 *
 * It promises: a restore point exists when, and only when, its manifest does, and then everything
 * it refers to is durable; bytes that are read are the bytes that were written, or an error names
 * what is damaged; a restore point under lock is removed by nobody before its date; a second site is whole in itself; two organizations share no key and no chunk; memory does not grow with disks,
 * except some 96 bytes a stored chunk for the index.
 */
export { RepositoryError, isRepositoryError } from './errors.js';
export { extractDisk, type Extraction, type ExtractOptions } from './extract-disk.js';
export { changeMasterKey, completeMasterKeyChange, recoverMasterKey, writeRecoveryKey } from './master-key-change.js';
export { Repository, type RepositoryOptions } from './repository.js';
export { READING_INDEX_MEMORY_BYTES } from './organization-index.js';
export { REPOSITORY, RepositoryModule, type RepositoryUse } from './repository.module.js';
export { SecondSite, type CopyReport, type CopyRunOptions, type SecondSiteOptions } from './second-site.js';
export { TwoSites } from './two-sites.js';
export { FolderStore } from './stores/folder-store.js';
export { openBlobStore } from './stores/open-store.js';
export { RateLimitedStore } from './stores/rate-limited-store.js';
export { ReadOnlyStore } from './stores/read-only-store.js';
export { RetryingStore } from './stores/retrying-store.js';
export { S3Store, type S3StoreOptions } from './stores/s3-store.js';
export { StoreWrapper } from './stores/store-wrapper.js';
export type { PackName, RollingOptions, RollingState } from './rolling-turn.js';
export type { CollectOptions, CollectReport } from './gc.js';
export type { LockHolder } from './gc-lock.js';
export type { SessionTimes } from './session-record.js';
export type * from './types.js';
export type { TimeSource } from './vault-clock.js';
export type { VerifyFinding, VerifyOptions, VerifyReport } from './verify.js';
