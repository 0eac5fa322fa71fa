export { UdpTransport, type UdpEvents, type UdpTransportOptions, type UdpTransportStats } from './udp-transport.js'
export type { DatagramRejection, SealRejection } from './datagram-rejections.js'
