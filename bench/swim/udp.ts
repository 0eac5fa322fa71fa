/** Processor time of 100 real members on loopback UDP at rest: ours, the peers, and bare sockets, each a process of its own. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface AtRest {
  readonly name: string
  readonly cpuMsPerMemberSecond: number
  /** Null where it is not known. */
  readonly packetsPerMemberSecond: number | null
  /** Bytes of heap a known member, and of one comparison of views: memberlist tells them. */
  readonly heapPerKnownMember?: number
  readonly syncBytes?: number
}

export interface UdpPlan {
  readonly members: number
  /** Of a smaller and hastier cluster before, so that code which runs for months is not measured while it is compiled. */
  readonly warmS: number
  readonly windows: number
  readonly windowS: number
  readonly quietS: number
}

type Window = Omit<AtRest, 'name'>

const MEMBERS_SCRIPT = fileURLToPath(new URL('./udp-members.ts', import.meta.url))
const MEMBERLIST_SOURCE = fileURLToPath(new URL('./memberlist/main.go', import.meta.url))
const GO_ENVIRONMENT = { GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOFLAGS: '' }

/** A contender of `udp-members.ts`. */
export function nodeMembers(contender: 'ours' | 'peer' | 'floor', probeMs: number, plan: UdpPlan): Promise<AtRest> {
  const name = { ours: '@hs/swim', peer: 'swim 0.6.0', floor: 'bare node:dgram' }[contender]
  const { members, warmS, windows, windowS, quietS } = plan
  const numbers = [members, probeMs, warmS, windows, windowS, quietS].map(String)
  const command = ['--import', 'tsx', MEMBERS_SCRIPT, contender, ...numbers]
  return measure(`${name}, probes every ${probeMs} ms`, process.execPath, command)
}

/** What is missing for memberlist; undefined if nothing is. */
export function memberlistMissing(): string | undefined {
  const hint = 'apt-get install golang-go golang-github-hashicorp-memberlist-dev'
  if (spawnSync('go', ['version']).status !== 0) return `\`go\` is not installed (${hint})`
  const found = spawnSync('go', ['list', 'github.com/hashicorp/memberlist'], environment())
  return found.status === 0 ? undefined : `its package is not installed (${hint})`
}

/** hashicorp/memberlist with its defaults for a LAN. */
export async function memberlist(plan: UdpPlan): Promise<AtRest> {
  const folder = mkdtempSync(join(tmpdir(), 'memberlist-'))
  try {
    const binary = join(folder, 'memberlist')
    const built = spawnSync('go', ['build', '-o', binary, MEMBERLIST_SOURCE], environment())
    if (built.status !== 0) throw new Error(`memberlist does not build: ${String(built.stderr)}`)
    const { members, windows, windowS, quietS } = plan
    return await measure('memberlist, LAN', binary, [members, windows, windowS, quietS].map(String))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export function goVersions(): string {
  const go = String(spawnSync('go', ['version']).stdout).trim()
  const query = ['-W', '-f=${Version}', 'golang-github-hashicorp-memberlist-dev']
  const { status, stdout } = spawnSync('dpkg-query', query)
  return `memberlist ${status === 0 ? String(stdout) : 'of unknown version'}, ${go}`
}

const environment = () => ({ env: { ...process.env, ...GO_ENVIRONMENT } })

/** The window of median processor time: what else the machine did in the others is none of the contender's. */
async function measure(name: string, command: string, parameters: readonly string[]): Promise<AtRest> {
  const child = spawn(command, parameters, { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', resolve)
  })
  const windows: Window[] = []
  for await (const line of createInterface(child.stdout)) windows.push(JSON.parse(line) as Window)
  const code = await ended
  const middle = windows.sort((a, b) => a.cpuMsPerMemberSecond - b.cpuMsPerMemberSecond)[windows.length >> 1]
  if (code !== 0 || middle === undefined) throw new Error(`${name} ended with ${code}`)
  return { ...middle, name }
}
