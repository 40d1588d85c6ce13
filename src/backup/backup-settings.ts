/** The settings are policy's, because policies carry them; what they do is this room's. */
export { type BackupPayload, type BackupSettings, backupSettingsSchema } from '../policy/index.js';
