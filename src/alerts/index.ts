/**
 * What somebody must be told: a condition that other rooms find becomes one alert while it lasts, is told by webhook and
 * e-mail when it begins, grows worse and ends, and is kept for those who ask later.
 *
 * It knows no run, no repository and no policy: they say what is wrong now (`registerSource`).
 * It promises that a message is in the database in the same transaction as what it tells of, that it is tried until it is
 * delivered or a day old, and then anew where the alert fires still, that there is one alert for one condition however many processes
 * look and whichever of them have channels, that a look which is overtaken by another one changes nothing, and that a source that cannot
 * answer resolves nothing.
 */
export { AlertService } from './alert.service.js';
export { AlertsModule, type AlertsOptions } from './alerts.module.js';
export { AlertError, type AlertErrorCode } from './errors.js';
export { severityOfStale, STALE_TRIES, staleAfterMinutes } from './stale.js';
export type * from './types.js';
