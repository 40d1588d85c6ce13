/**
 * Small things every room may use: error root, waiting and retrying with deadlines, logging,
 * byte units, ids, TLS trust, and a namespace-aware XML tree.
 *
 * It imports nothing of ours and knows no vApp, no disk and no database.
 * It promises that every wait here ends: by its result, its deadline or its abort signal.
 */
export * from './bell.js';
export * from './clock.js';
export * from './errors.js';
export * from './ids.js';
export * from './join-signals.js';
export * from './log.js';
export * from './parallel.js';
export * from './pattern.js';
export * from './semaphore.js';
export * from './tls.js';
export * from './units.js';
export * from './wait.js';
export * from './wait-queue.js';
export * from './xml.js';
