/** The layer table of the architecture: a package imports packages of a lower layer only. */
const layers = [
  ['core'],
  [
    'crdt',
    'windowed-stats',
    'retry-budget',
    'overload',
    'health',
    'swim',
    'routing',
    'leases',
    'idempotency',
    'ledger',
  ],
  ['transport', 'discovery', 'store-redis', 'store-postgres', 'store-etcd', 'sim'],
  ['jobs', 'nodes'],
]

const folder = (names) => `^packages/(${names.join('|')})/`

const layerRules = layers.map((names, index) => ({
  name: `layer-${index}`,
  comment: `layer ${index} imports lower layers only`,
  severity: 'error',
  from: { path: `^packages/(${names.join('|')})/src/` },
  to: {
    path: folder(layers.slice(index).flat()),
    // A package may import itself; nodes stands on jobs.
    pathNot: ['^packages/$1/'],
  },
}))
layerRules[3].to.pathNot.push('^packages/jobs/')

module.exports = {
  forbidden: [
    ...layerRules,
    {
      name: 'jobs-below-nodes',
      severity: 'error',
      from: { path: '^packages/jobs/src/' },
      to: { path: '^packages/nodes/' },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: { path: '^packages/' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-node-in-primitives',
      comment: 'Layers 0 and 1 and the job domain run in browsers; what needs Node stands in a ./node subpath.',
      severity: 'error',
      from: { path: `^packages/(${[...layers[0], ...layers[1], 'jobs'].join('|')})/src/`, pathNot: '/src/node/' },
      to: { dependencyTypes: ['core'], dependencyTypesNot: ['type-import', 'type-only'] },
    },
    {
      name: 'public-entry-only',
      comment: 'Another package is entered by its exports, never by its files.',
      severity: 'error',
      from: { path: '^packages/([^/]+)/' },
      to: {
        path: '^packages/[^/]+/(src|test)/',
        pathNot: ['^packages/$1/', '^packages/[^/]+/src/((testing|node)/)?index\\.ts$'],
      },
    },
    {
      name: 'testing-stays-in-tests',
      severity: 'error',
      from: { path: '^packages/[^/]+/src/', pathNot: '/src/testing/|^packages/sim/' },
      to: { path: '^packages/(core|crdt)/src/testing/' },
    },
    {
      name: 'sources-import-no-tests',
      severity: 'error',
      from: { path: '^packages/[^/]+/src/' },
      to: { path: '/test/|^(bench|examples|test)/' },
    },
    {
      name: 'no-undeclared-dependency',
      severity: 'error',
      from: { path: '^packages/[^/]+/src/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'] },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: { path: '^(packages|examples|test)/' },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)dist/' },
    enhancedResolveOptions: {
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.json'],
    },
  },
}
