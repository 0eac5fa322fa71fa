import { defineConfig, globalIgnores } from 'eslint/config'
import tseslint from 'typescript-eslint'

/** Rule 2 of the architecture: whoever needs the time or a die is given a `Clock` or a `Random`. */
const noTimeNoDice = {
  'no-restricted-globals': [
    'error',
    ...['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'].map((name) => ({
      name,
      message: 'Timers come from the injected Clock.',
    })),
  ],
  'no-restricted-properties': [
    'error',
    { object: 'Date', property: 'now', message: 'The time comes from the injected Clock.' },
    { object: 'performance', property: 'now', message: 'The time comes from the injected Clock.' },
    { object: 'Math', property: 'random', message: 'Dice come from the injected Random.' },
    { object: 'crypto', property: 'randomUUID', message: 'Ids come from IdGenerator.' },
  ],
}

/** Rule 7: no error without a reader. */
const noSilence = {
  'no-empty': ['error', { allowEmptyCatch: false }],
  'no-restricted-syntax': [
    'error',
    {
      selector:
        "CallExpression[callee.property.name='catch'] > ArrowFunctionExpression > BlockStatement[body.length=0]",
      message: 'An error needs a reader: report it.',
    },
    {
      selector:
        "CallExpression[callee.property.name='catch'] > ArrowFunctionExpression > :matches(Identifier[name='undefined'], Literal[raw='null'])",
      message: 'An error needs a reader: report it.',
    },
    {
      selector: "NewExpression[callee.name='Date'][arguments.length=0]",
      message: 'The time comes from the injected Clock.',
    },
  ],
}

export default defineConfig(
  globalIgnores(['**/dist', 'docs/api', '**/*.js', '**/*.cjs', '**/*.mjs']),
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      ...noSilence,
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/prefer-promise-reject-errors': 'off', // a signal's reason may be anything
      '@typescript-eslint/only-throw-error': 'off', // the same
      '@typescript-eslint/unbound-method': 'off', // classes use #private, so a detached method fails loudly
      '@typescript-eslint/require-await': 'off', // handlers are async by their type
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'all' },
      ],
    },
  },
  {
    files: ['packages/*/src/**/*.ts'],
    rules: { ...noTimeNoDice, 'no-console': 'error', 'no-else-return': ['error', { allowElseIf: false }] },
  },
  {
    // Where time, randomness and the console enter.
    files: ['packages/core/src/{clock,random,logger,error-reporter}.ts'],
    rules: { 'no-restricted-globals': 'off', 'no-restricted-properties': 'off', 'no-console': 'off' },
  },
  {
    // Tests and benches drive real sockets and real time where that is what they are about.
    files: ['packages/*/test/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts', 'examples/**/*.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off', 'no-restricted-syntax': 'off' },
  },
)
