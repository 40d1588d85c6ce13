import { describe, it } from 'vitest';
import { MemoryStore } from './memory-store.js';
import { STORE_CONFORMANCE } from './store-conformance.js';

/** Tests lean on it: what it allowed and a folder does not would hide a fault. */
describe('the store in memory', () => {
  const store = new MemoryStore();
  for (const { name, run } of STORE_CONFORMANCE) it(name, () => run({ store, reopen: async () => store, largeBytes: 1 << 20 }));
});
