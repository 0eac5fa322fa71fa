/** The page: three lines that grow by a point a second. */
export const LIVE_PAGE = `<!doctype html>
<meta charset="utf-8">
<title>Live percentiles</title>
<style>
  body { font: 16px system-ui; margin: 2rem auto; max-width: 60rem; color: #222 }
  svg { width: 100%; height: 20rem; background: #f7f7f9; border-radius: 6px }
  polyline { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke }
  .p50 { stroke: #2a7; color: #2a7 } .p95 { stroke: #27c; color: #27c } .p99 { stroke: #c33; color: #c33 }
  b { font-variant-numeric: tabular-nums }
</style>
<h1>Live percentiles</h1>
<p><b id="now">waiting for the first second</b></p>
<svg viewBox="0 0 60 100" preserveAspectRatio="none">
  <polyline class="p50"/><polyline class="p95"/><polyline class="p99"/>
</svg>
<p>The last minute, from 0 to <span id="top">0</span> ms:
  <span class="p50">p50</span>, <span class="p95">p95</span>, <span class="p99">p99</span></p>
<script>
  const names = ['p50', 'p95', 'p99']
  const seconds = []
  new EventSource('/live').onmessage = ({ data }) => {
    const second = JSON.parse(data)
    if (!second.latency) return
    seconds.push(second.latency)
    if (seconds.length > 61) seconds.shift()
    const top = Math.max(...seconds.map((s) => s.p99)) * 1.1
    document.getElementById('top').textContent = top.toFixed(0)
    document.getElementById('now').textContent =
      second.time + '  ' + second.requests + ' requests, ' + second.errors + ' errors, ' + second.level + ': ' +
      names.map((name) => name + ' ' + second.latency[name].toFixed(1) + ' ms').join(', ')
    for (const name of names) {
      const points = seconds.map((s, i) => i + ',' + (100 - (100 * s[name]) / top))
      document.querySelector('polyline.' + name).setAttribute('points', points.join(' '))
    }
  }
</script>
`
