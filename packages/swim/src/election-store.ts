/**
 * Where an elector's word is kept: its term, its vote in it, and the list of voters. A vote is given only after it is
 * saved, so with a durable store no restart makes anyone vote twice in a term.
 *
 * A durable store that is empty is taken for that of a node that has never voted. If a voter's disk is lost, do not
 * start it again under its name with an empty one: remove the voter and add it again.
 */
import { HsError, KeyedMutex, parseOptions, type Disk } from '@hs/core'
import * as z from 'zod'
import { crc32 } from './crc32.js'
import { MAX_TERM } from './election-message.js'
import { faultOfVoters } from './election-voters.js'

export interface ElectionState {
  /** The newest term known; 0 before the first. */
  term: number
  /** To whom the vote of that term went, a member's name; null: to nobody yet. */
  votedFor: string | null
  /** The list of voters; absent with an electorate of fixed size. */
  voters?: string[]
  /** How often that list has changed. */
  votersVersion?: number
  /** The term of the leader that issued it; 0: it is the option. */
  votersTerm?: number
}

export interface ElectionStore {
  /** Whether what is saved outlives the process. */
  readonly durable: boolean
  /** Undefined: nothing was ever saved. */
  load(): Promise<ElectionState | undefined>
  /** Resolves when durable; on a failure the state before or this one is kept. Saves do not overlap. */
  save(state: ElectionState): Promise<void>
}

/** Forgets with the process: for tests, and where the fencing token guards nothing. */
export class MemoryElectionStore implements ElectionStore {
  readonly durable = false
  #state: ElectionState | undefined

  async load(): Promise<ElectionState | undefined> {
    return this.#state === undefined ? undefined : structuredClone(this.#state)
  }

  async save(state: ElectionState): Promise<void> {
    this.#state = structuredClone(state)
  }
}

export interface DiskElectionStoreOptions {
  /** A file name of the disk, of at most 196 characters; the same with `.tmp` is used too. @default 'election.state' */
  file?: string
}

/** Magic, u32 length and u32 CRC-32 of the rest, both big-endian, then JSON. */
const MAGIC = 0x48534531
const HEADER_BYTES = 12
const MAX_FILE_BYTES = 65_536

/** One file, replaced as a whole: temporary file, sync, rename, sync of the folder. */
export class DiskElectionStore implements ElectionStore {
  readonly durable = true
  readonly #disk: Disk
  readonly #file: string
  readonly #mutex = new KeyedMutex()

  /** @throws ConfigError */
  constructor(disk: Disk, options?: DiskElectionStoreOptions) {
    this.#disk = disk
    this.#file = parseOptions(optionsSchema(), options, 'DiskElectionStore').file
  }

  /** @throws HsError `'ELECTION_STATE_CORRUPT'`; what the disk throws */
  async load(): Promise<ElectionState | undefined> {
    const bytes = await this.#read()
    return bytes === undefined ? undefined : parseElectionState(this.#unwrap(bytes), this.#file)
  }

  /** @throws what the disk throws */
  async save(state: ElectionState): Promise<void> {
    const bytes = wrap(state)
    await this.#mutex.run('save', async () => {
      const temporary = `${this.#file}.tmp`
      const file = await this.#disk.open(temporary, { create: true })
      try {
        await file.truncate(0)
        await file.write(0, bytes)
        await file.sync()
      } finally {
        await file.close()
      }
      await this.#disk.rename(temporary, this.#file)
      await this.#disk.syncDirectory()
    })
  }

  async #read(): Promise<Uint8Array | undefined> {
    const file = await this.#disk.open(this.#file).catch((error: unknown) => {
      if ((error as { code?: unknown } | null)?.code === 'ENOENT') return undefined
      throw error
    })
    if (file === undefined) return undefined
    try {
      return await file.read(0, MAX_FILE_BYTES + 1)
    } finally {
      await file.close()
    }
  }

  #unwrap(bytes: Uint8Array): unknown {
    if (bytes.length < HEADER_BYTES || bytes.length > MAX_FILE_BYTES) throw corrupt(this.#file, 'its length is wrong')
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const body = bytes.subarray(HEADER_BYTES)
    if (view.getUint32(0) !== MAGIC) throw corrupt(this.#file, 'it does not begin as one')
    if (view.getUint32(4) !== body.length) throw corrupt(this.#file, 'its length is wrong')
    if (view.getUint32(8) !== crc32(body)) throw corrupt(this.#file, 'its checksum is wrong')
    try {
      return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
    } catch (cause) {
      throw corrupt(this.#file, 'it is no JSON', cause)
    }
  }
}

function wrap(state: ElectionState): Uint8Array {
  const body = new TextEncoder().encode(JSON.stringify(state))
  const bytes = new Uint8Array(HEADER_BYTES + body.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, MAGIC)
  view.setUint32(4, body.length)
  view.setUint32(8, crc32(body))
  bytes.set(body, HEADER_BYTES)
  return bytes
}

/**
 * What a store has loaded, checked.
 * @throws HsError `'ELECTION_STATE_CORRUPT'`
 */
export function parseElectionState(value: unknown, source: string): ElectionState {
  const result = stateSchema().safeParse(value)
  if (!result.success) throw corrupt(source, 'it is no election state', result.error)
  const { term, votedFor, voters, votersVersion, votersTerm } = result.data
  const state = { term, votedFor }
  return voters === undefined
    ? state
    : { ...state, voters, votersVersion: votersVersion ?? 0, votersTerm: votersTerm ?? 0 }
}

function corrupt(source: string, why: string, cause?: unknown): HsError {
  return new HsError(
    'ELECTION_STATE_CORRUPT',
    `${source}: ${why}. Restore it, or remove this voter and add it again; an empty one may vote twice.`,
    { cause, details: { source } },
  )
}

let cachedOptions: ReturnType<typeof makeOptions> | undefined
const optionsSchema = () => (cachedOptions ??= makeOptions())
const makeOptions = () =>
  z.strictObject({
    file: z
      .string()
      .regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,195}$/, 'expected a file name of the disk')
      .default('election.state'),
  })

let cachedSchema: ReturnType<typeof makeSchema> | undefined
const stateSchema = () => (cachedSchema ??= makeSchema())
const makeSchema = () =>
  z.object({
    term: z.int().min(0).max(MAX_TERM),
    votedFor: z.string().nullable(),
    voters: z
      .array(z.string())
      .refine((voters) => faultOfVoters(voters) === undefined, 'expected voters')
      .optional(),
    votersVersion: z.int().min(0).optional(),
    votersTerm: z.int().min(0).max(MAX_TERM).optional(),
  })
