/**
 * Backup storage: blob stores, chunks, packs, disk indexes, documents, manifests, and the keys
 * that keep organizations apart (docs/repository-format.md).
 *
 * It knows no VM, no vCloud and no database, schedules nothing, and collects no garbage yet:
 * deleting a manifest frees nothing until a collector runs, for which the format is made.
 *
 * It promises: a restore point exists when, and only when, its manifest does, and then everything
 * it refers to is durable; bytes that are read are the bytes that were written, or an error names
 * what is damaged; two organizations share no key and no chunk; memory does not grow with disks,
 * except 48 bytes a stored chunk for the index.
 */
export { RepositoryError, isRepositoryError } from './errors.js';
export { FolderStore } from './folder-store.js';
export { Repository, type RepositoryOptions } from './repository.js';
export { REPOSITORY, RepositoryModule } from './repository.module.js';
export type * from './types.js';
