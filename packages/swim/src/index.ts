export type { Member, MemberStatus, Meta } from './member.js'
