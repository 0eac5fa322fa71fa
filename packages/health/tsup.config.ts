import { defineConfig } from 'tsup'
import { hsPackage } from '../../tsup.base'

export default defineConfig(hsPackage(['src/index.ts', 'src/node/index.ts']))
