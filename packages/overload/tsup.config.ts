import { defineConfig } from 'tsup'
import { hsPackage } from '../../tsup.base'

export default defineConfig(hsPackage())
