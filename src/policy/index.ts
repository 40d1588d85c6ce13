/**
 * Which objects of a cloud are meant: a scope names them by organization, VDC, name, id, owner,
 * metadata, kind or VCD catalog, and leaves out what it excludes, down to a VM and a disk.
 *
 * It changes nothing, here or in a cloud, and it starts no run.
 * It promises that whoever asks hears why each object is meant or left out, and that what a scope
 * means is decided when it is asked, by the last inventory; metadata by VCD itself.
 */
export { PolicyModule } from './policy.module.js';
export { scopeSchema } from './scope.dto.js';
export { CLOUD_ACCESS, type CloudAccess, type ExcludedItem, type ScopeItem, type ScopeResolution, ScopeService } from './scope.service.js';
export type * from './scope-types.js';
