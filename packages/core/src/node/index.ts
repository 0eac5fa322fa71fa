export { NodeDisk } from './node-disk.js'
