import { defineConfig } from 'vitest/config';

/** Pure code, which keeps nothing between files: one import of the modules serves them all, and a third of a run is importing. */
const UNITS = ['src/**/*.spec.ts', 'test/simulator/**/*.spec.ts', 'demo/**/*.spec.ts'];

export default defineConfig({
  test: {
    // Two cores are the floor, and with two workers a third of their time was idle: many specs wait for a server's start, a lease, a death.
    pool: 'forks',
    maxWorkers: 3,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    reporters: ['default', './test/interop/schema/schema-reporter.mjs', './scripts/closing-line-reporter.mjs'],
    projects: [
      { extends: true, test: { name: 'units', include: UNITS, isolate: false } },
      { extends: true, test: { name: 'servers', include: ['test/**/*.spec.ts'], exclude: ['test/simulator/**', '**/node_modules/**'] } },
    ],
  },
});
