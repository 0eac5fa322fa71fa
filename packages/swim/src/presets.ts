/**
 * Timings to spread into the options of a `Cluster`. Those of HashiCorp's memberlist, but that λ counts natural
 * logarithms: with its 4 over log₁₀ one update in fifty is unheard by someone at n = 64.
 */

export const presets = /* @__PURE__ */ Object.freeze({
  /** Machines of one datacenter: the defaults. */
  lan: /* @__PURE__ */ Object.freeze({
    probeIntervalMs: 1_000,
    probeTimeoutMs: 500,
    indirectProbes: 3,
    suspicionMultiplier: 4,
    retransmitMultiplier: 3,
    gossipIntervalMs: 200,
    gossipFanout: 3,
    gossipToDeadMs: 30_000,
    syncIntervalMs: 30_000,
  }),
  /** Members on several continents. Timeouts follow the measured round trips, so `lan` often does. */
  wan: /* @__PURE__ */ Object.freeze({
    probeIntervalMs: 5_000,
    probeTimeoutMs: 3_000,
    indirectProbes: 3,
    suspicionMultiplier: 6,
    retransmitMultiplier: 3,
    gossipIntervalMs: 500,
    gossipFanout: 4,
    gossipToDeadMs: 60_000,
    syncIntervalMs: 60_000,
  }),
  /** Processes of one machine. */
  local: /* @__PURE__ */ Object.freeze({
    probeIntervalMs: 1_000,
    probeTimeoutMs: 200,
    indirectProbes: 1,
    suspicionMultiplier: 3,
    retransmitMultiplier: 2,
    gossipIntervalMs: 100,
    gossipFanout: 3,
    gossipToDeadMs: 15_000,
    syncIntervalMs: 15_000,
  }),
})
