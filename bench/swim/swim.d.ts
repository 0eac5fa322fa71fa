/** npm `swim` has no declarations; `npm-swim.ts` says what it uses of it. */
declare module 'swim' {
  const Swim: new (options: object) => unknown
  export default Swim
}
