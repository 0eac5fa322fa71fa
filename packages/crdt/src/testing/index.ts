export { crdtSubject, type JoinSubject } from './join-subject.js'
export { LawViolation, type Law } from './law-violation.js'
export { assertAssociative, assertCommutative, assertIdempotent, assertJoinLaws, assertMonotone } from './laws.js'
export { assertConverges, type AssertConvergesOptions } from './converge.js'
