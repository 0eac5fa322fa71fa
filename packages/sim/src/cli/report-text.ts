/** A report for people. */

import { failureText, neverReachedText } from '../campaign.js'
import type { CampaignReport } from '../campaign-report.js'

export function reportText(report: CampaignReport): string {
  const lines = report.failures.map((failure) => `SIMULATION_FAILED: ${failureText(report, failure)}`)
  // A campaign that ended early had no chance to get everywhere.
  if (lines.length === 0 && report.missing.length > 0) lines.push(`NEVER_REACHED: ${neverReachedText(report)}`)
  const verdict = report.failures.length === 0 ? 'hold' : `run, ${report.failures.length} failing`
  lines.push(`${report.scenario}: ${report.runs} seeds ${verdict}, ${campaignText(report)}`)
  lines.push(`faults: ${countsText(report.faults)}`)
  lines.push(`reached: ${countsText(report.coverage)}`)
  return `${lines.join('\n')}\n`
}

export function campaignText({ events, virtualMs }: Pick<CampaignReport, 'events' | 'virtualMs'>): string {
  return `${events} events, ${(virtualMs / 3_600_000).toFixed(2)} h of virtual time`
}

function countsText(counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts)
  return entries.length === 0 ? 'none' : entries.map(([name, count]) => `${name} ${count}`).join(', ')
}
