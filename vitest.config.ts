import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.spec.ts', 'test/**/*.spec.ts', 'demo/**/*.spec.ts'],
    // Two workers: most specs start real servers and native processes, and two cores are the floor.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    reporters: ['default', './test/interop/schema/schema-reporter.mjs', './scripts/closing-line-reporter.mjs'],
  },
});
