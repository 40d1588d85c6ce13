/**
 * The door to native/addon: shared memory for a vddk-host, the CPU work on chunks (zero test,
 * keyed digest, zstd, AES-256-GCM), and the chunk table.
 *
 * It knows no file, no format and no disk: callers pass buffers, keys and associated data. Only
 * src/vddk and src/repository import it.
 * It promises that work runs on pool threads and not on the event loop, that offsets are exact to
 * 2^53, and that wrong arguments end as TypeError or RangeError, never as a crash.
 */
export { NativeAddonError } from './addon.js';
export * from './batches.js';
export * from './types.js';
