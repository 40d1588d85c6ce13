/**
 * The plan's table of rooms (docs/architecture.md): imports go down, never up, never sideways,
 * and another room is entered through its index.ts only.
 */
const rows = [
  ['common'],
  ['disk', 'image', 'config', 'database', 'native'],
  ['vcd', 'vsphere', 'vddk', 'repository', 'access'],
  ['catalog', 'jobs', 'http', 'alerts'],
  ['clouds', 'policy'],
  ['backup', 'restore', 'maintenance', 'export', 'monitoring', 'billing'],
];

const room = (names) => `^src/(${names.join('|')})/`;

const direction = rows.flatMap((names, row) =>
  names.map((name) => ({
    name: `${name}-imports-down`,
    comment: `src/${name} may import only rooms of lower rows`,
    severity: 'error',
    from: { path: room([name]) },
    to: { path: '^src/', pathNot: [room([name]), ...(row === 0 ? [] : [room(rows.slice(0, row).flat())])] },
  })),
);

module.exports = {
  forbidden: [
    ...direction,
    {
      name: 'through-the-index',
      comment: 'Another room is entered through its index.ts',
      severity: 'error',
      // Specs and what several of them share look inside; the data path's bench measures a process that loads the data path alone.
      from: { path: '^(src|test|demo)/([^/]+)/', pathNot: ['\\.spec\\.ts$', '-fixture\\.ts$', '^test/bench/repository/'] },
      to: { path: '^src/[^/]+/', pathNot: ['^src/$2/', '^src/[^/]+/index\\.ts$'] },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } } },
    { name: 'product-knows-no-test', severity: 'error', from: { path: '^src/' }, to: { path: '^(test|demo)/' } },
    { name: 'only-vddk-and-repository-use-native', severity: 'error', from: { path: '^src/', pathNot: '^src/(vddk|repository|native)/' }, to: { path: '^src/native/' } },
  ],
  options: { tsConfig: { fileName: 'tsconfig.json' }, doNotFollow: { path: 'node_modules' }, tsPreCompilationDeps: true },
};
