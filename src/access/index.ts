/**
 * Who may do what: API keys, the guard before every route, the principal of a request.
 *
 * It knows no feature: a route says what it needs by @Public(), @OpenToOrganizations() or
 * @AdministratorsOnly(); one that says nothing is closed to strangers and to keys of an organization. It promises that no key can be read back from the database, and
 * that a revoked key opens nothing from the next request on.
 */
export { AccessGuard, AdministratorsOnly, OpenToOrganizations, PUBLIC_ROUTE, Public } from './access.guard.js';
export { AccessModule, type AccessOptions } from './access.module.js';
export { makeApiKey } from './api-key.js';
export { AccessError, type AccessErrorCode } from './errors.js';
export { type Principal, ROLES, type Role } from './principal.js';
