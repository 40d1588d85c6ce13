import type { ByteSource } from '../image/index.js';

/** Raised when a release makes other bytes of the same content: a download begun before must not be carried on. */
export const LAYOUT_VERSION = 1;

/** A file to be delivered. */
export interface Deliverable {
  fileName: string;
  /** For logs and errors: `Hard disk 1 of VM "web-1"`. */
  what: string;
  /** Strong: equal only where every byte is; with its quotes. */
  etag: string;
  /** A stream has no length before its end, and no parts. */
  content: ByteSource | { readonly sizeBytes?: undefined; stream(signal: AbortSignal): AsyncIterable<Buffer> };
}
