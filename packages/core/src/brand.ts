/** Types that differ only in meaning: a `JobId` is a string, but not any string is a `JobId`. No cost at run time. */

declare const brand: unique symbol

/** `T` that was checked, or made, to be a `Name`. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name }

export type DatacenterId = Brand<string, 'DatacenterId'>
export type JobId = Brand<string, 'JobId'>
