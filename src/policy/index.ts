/**
 * What is backed up, when, how, and how long it is kept: scopes (which objects of a cloud are meant), policies and their
 * inheritance, due times and the runs they become, retention.
 *
 * It changes nothing in a cloud. It makes runs of backups, which others carry out, and deletes restore points by the catalog.
 * It promises that whoever asks hears why each object is meant or left out, from which policy each rule comes and why each
 * restore point stays or goes; that a due time becomes one run, however many processes look; and that the last complete
 * restore point of an object that is there is never deleted by a rule. What is due and what is kept are pure (`rules/`).
 */
export { type BackupPayload, type BackupSettings, backupSettingsSchema } from './backup-settings.js';
export { MetadataAlerts } from './alerts/metadata-alerts.js';
export { PolicyAlerts } from './alerts/policy-alerts.js';
export { PolicyModule } from './policy.module.js';
export { PolicyProtection } from './policy-protection.service.js';
export { PolicyRounds } from './policy-rounds.js';
export { PolicyService } from './policy.service.js';
export { scopeSchema } from './scope.dto.js';
export { CLOUD_ACCESS, type CloudAccess, type ExcludedItem, type ScopeItem, type ScopeResolution, ScopeService } from './scope.service.js';
export type * from './scope-types.js';
export { VanishedAlerts } from './alerts/vanished-alerts.js';
