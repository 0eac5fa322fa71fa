/** Whether a goal is reached; nothing where there is none. */
export type Verdict = 'reached' | 'MISSED' | ''

export const verdictOf = (isReached: boolean): Verdict => (isReached ? 'reached' : 'MISSED')
