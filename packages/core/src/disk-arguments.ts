/** What every `Disk` refuses, in one place: names, offsets, sizes, files that are not there. */
import { HsError } from './errors.js'

const validName = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$/

export function isDiskName(name: unknown): name is string {
  return typeof name === 'string' && validName.test(name)
}

/** @throws HsError `'INVALID_ARGUMENT'` */
export function checkDiskName(name: string): void {
  if (!isDiskName(name))
    throw new HsError('INVALID_ARGUMENT', `A file's name must match ${validName.source}, found ${JSON.stringify(name)}`)
}

/** An offset, a length or a size. @throws HsError `'INVALID_ARGUMENT'` */
export function checkDiskCount(what: string, count: number): void {
  if (!Number.isSafeInteger(count) || count < 0)
    throw new HsError('INVALID_ARGUMENT', `${what} must be an integer of at least 0, found ${count}`)
}

export function missingFile(name: string, cause?: unknown): HsError {
  return new HsError('ENOENT', `There is no file ${name}`, { cause })
}
