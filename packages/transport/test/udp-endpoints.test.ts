import { describe, expect, it } from 'vitest'
import { IpEndpoints } from '../src/ip-endpoints.js'

describe('IpEndpoints', () => {
  it.each([
    [4, '10.0.0.6:7000', '10.0.0.6'],
    [4, '[::1]:7000', '::1'],
    [6, '[::1]:7000', '::1'],
    [6, '10.0.0.6:7000', '::ffff:10.0.0.6'],
    [6, '[fe80::1%eth0]:7000', 'fe80::1%eth0'],
  ] as const)('on a socket of family %i sends for %s to %s', (family, text, host) => {
    const endpoints = new IpEndpoints(family)

    expect(endpoints.parse(text)).toEqual({ host, port: 7_000 })
    expect(endpoints.parse(text)).toBe(endpoints.parse(text))
  })

  it.each([
    [4, '10.0.0.6', '10.0.0.6:7000'],
    [6, '::1', '[::1]:7000'],
    [6, '::ffff:10.0.0.6', '10.0.0.6:7000'],
    [6, '::ffff:a00:6', '[::ffff:a00:6]:7000'],
    [6, 'fe80::1%eth0', '[fe80::1%eth0]:7000'],
  ] as const)('on a socket of family %i calls the source %s %s, and can answer it', (family, address, text) => {
    const endpoints = new IpEndpoints(family)

    expect(endpoints.textOf(address, 7_000)).toBe(text)
    expect(endpoints.parse(text)).toEqual({ host: address, port: 7_000 })
  })

  it('tells sources apart that share the address or the port', () => {
    const endpoints = new IpEndpoints(4)
    const sources = [
      ['10.0.0.6', 1],
      ['10.0.0.6', 2],
      ['10.0.0.7', 2],
      ['10.0.0.6', 1],
    ] as const

    expect(sources.map(([address, port]) => endpoints.textOf(address, port))).toEqual([
      '10.0.0.6:1',
      '10.0.0.6:2',
      '10.0.0.7:2',
      '10.0.0.6:1',
    ])
  })

  it.each(['fe80::1%eth0:7000', '[fe80::1%]:7000', '10.0.0.6%eth0:7000', '[%eth0]:7000', 'eth0%:7000'])(
    'refuses %s',
    (text) => {
      expect(() => new IpEndpoints(6).parse(text)).toThrow(expect.objectContaining({ code: 'DECODE_ERROR' }))
    },
  )
})
