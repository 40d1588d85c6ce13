/**
 * The HTTP edge all features share: problem+json errors, validation, the request log, health, and
 * the OpenAPI 3.1 document. It knows no feature; controllers live with theirs.
 *
 * It promises that every error leaves as RFC 9457 with a stable code, that no unforeseen error's
 * text reaches a caller, and that neither log nor answer holds a key or a password.
 */
export { configureHttp, HttpModule } from './http.module.js';
export { NestLogger } from './nest-logger.js';
export { type Problem, problemSchema, statusOf, toProblem, ValidationError } from './problem.js';
export type { Readiness, ReadinessCheck } from './readiness.js';
