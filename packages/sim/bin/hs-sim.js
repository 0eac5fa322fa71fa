#!/usr/bin/env node
// Stands here already before the build, so that package managers can link it.
import '../dist/cli/hs-sim.js'
