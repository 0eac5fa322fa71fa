/** What gates say to each other, beside the methods of clients that they pass on. */
import * as z from 'zod'
import { jobIdField, natural, ownerField } from './fields.js'
import { method } from './method.js'

/** Who owns a job. */
const claim = () => z.object({ jobId: jobIdField(), owner: ownerField() })
export type Claim = z.output<ReturnType<typeof claim>>

export const jobLeader = /* @__PURE__ */ (() =>
  method(
    'job.leader',
    'high',
    { claims: z.array(claim()), /** Nobody needs to find these any more. */ released: z.array(jobIdField()) },
    { /** Claims that stand now. */ known: natural() },
  ))()

/** By a gate that joins: all that the other one knows, from `cursor` on. */
export const gateSync = /* @__PURE__ */ (() =>
  method(
    'gate.sync',
    'high',
    { cursor: natural() },
    { claims: z.array(claim()), /** Where to go on; absent at the end. */ cursor: natural().exactOptional() },
  ))()
