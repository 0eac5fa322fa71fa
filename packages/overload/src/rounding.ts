/** What sums and differences of times may be off by: what is due within it is due now. In milliseconds. */
export const ROUNDING_MS = 1e-6
