import { defineConfig } from 'vitest/config';

/** Pure code, which keeps nothing between files: one import of the modules serves them all, and a third of a run is importing. */
const UNITS = ['src/**/*.spec.ts', 'test/simulator/**/*.spec.ts', 'demo/**/*.spec.ts'];

export default defineConfig({
  test: {
    // Two workers: most specs start real servers and native processes, and two cores are the floor.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    reporters: ['default', './test/interop/schema/schema-reporter.mjs', './scripts/closing-line-reporter.mjs'],
    projects: [
      { extends: true, test: { name: 'units', include: UNITS, isolate: false } },
      { extends: true, test: { name: 'servers', include: ['test/**/*.spec.ts'], exclude: ['test/simulator/**', '**/node_modules/**'] } },
    ],
  },
});
