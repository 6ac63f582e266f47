// Measures the pages at 10,000 nodes: first paint, size, one update, and what 200 open pages cost the server.
//
//   NEARCAST=target/sim/nearcast node measure.mjs        (an optimised binary; some two minutes)
//
// The fleet is a configuration of 10,000 nodes whose exporter pages one process serves on loopback; each node is
// scraped every 10 s, so a tenth of the fleet changes each second.
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, get } from 'node:http';
import { cpus } from 'node:os';
import { gzipSync } from 'node:zlib';
import { chromium } from 'playwright-core';
import { Service, freePair, output } from './service.mjs';

const NODES = Number(process.env.NODES ?? 10000), PAGES = Number(process.env.PAGES ?? 200), SPAN_S = Number(process.env.SPAN_S ?? 20);
const PER_POP = 30;

/** One SRS page; viewers and bytes grow with time, each node at its own pace. */
function page(n) {
  const now = Date.now() / 1000, busy = 0.2 + ((n * 7919) % 1000) / 1250, clients = Math.round(2000 * busy + 40 * Math.sin(now / 7 + n));
  return `# TYPE srs_build_info gauge\nsrs_build_info{build_date="x",major="7",server="s${n}",service="v${n}",version="7.0.0"} 1\n`
    + `# TYPE srs_cpu_percent gauge\nsrs_cpu_percent ${(60 * busy).toFixed(1)}\n# TYPE srs_memory gauge\nsrs_memory 100000\n`
    + `# TYPE srs_send_bytes_total counter\nsrs_send_bytes_total ${Math.round(now * 3e8 * busy)}\n# TYPE srs_receive_bytes_total counter\nsrs_receive_bytes_total ${Math.round(now * 1e6)}\n`
    + `# TYPE srs_streams gauge\nsrs_streams 10\n# TYPE srs_clients gauge\nsrs_clients ${clients}\n# TYPE srs_clients_total counter\nsrs_clients_total ${Math.round(now * 10 * busy)}\n# TYPE srs_error gauge\nsrs_error 0\n`;
}

const exporter = createServer((request, response) => {
  response.setHeader('content-type', 'text/plain; version=0.0.4');
  response.end(page(Number(request.url.slice(2).split('/')[0])));
});
exporter.keepAliveTimeout = 60000;
await new Promise(yes => exporter.listen(0, '127.0.0.1', yes));

const port = await freePair();
const service = await Service.serve(() => {
  let text = `[server]\nlisten = "127.0.0.1:${port}"\nadmin_listen = "127.0.0.1:${port + 1}"\n[scrape]\ninterval = "10s"\n[[pools]]\nname = "edges"\n[[domains]]\nname = "live.example.com"\npool = "edges"\n`;
  for (let n = 0; n < NODES; n++) {
    const pop = Math.floor(n / PER_POP), at = (k, from, span) => (from + ((pop * k) % 1000) / 1000 * span).toFixed(2);
    text += `[[nodes]]\nid = "p${pop}-${n % PER_POP}"\npool = "edges"\npop = "pop-${pop}"\naddresses = ["10.${n >> 16}.${(n >> 8) & 255}.${n & 255}"]\nlocation = { latitude = ${at(389, -35, 95)}, longitude = ${at(617, -120, 260)} }\nbandwidth = "10Gbps"\nexporters = ["http://127.0.0.1:${exporter.address().port}/n${n}/metrics"]\n`;
  }
  return text;
}, port);
await new Promise(yes => setTimeout(yes, 12000));

/** CPU seconds that a process has used. */
const cpu = pid => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
};
const wait = s => new Promise(yes => setTimeout(yes, s * 1000));
async function load(label, seconds) {
  const [before, began] = [cpu(service.pid), performance.now()];
  await wait(seconds);
  const share = (cpu(service.pid) - before) / ((performance.now() - began) / 1000);
  console.log(`${label}: ${(share * 100).toFixed(1)} % of one core`);
  return share;
}

const results = { nodes: NODES, pages: PAGES, cores: cpus().length };
const html = await fetch(service.admin + '/nodes', { headers: { accept: 'text/html' } });
const began = performance.now();
const body = Buffer.from(await (await fetch(service.admin + '/nodes', { headers: { accept: 'text/html' } })).arrayBuffer());
results.html_ms = Math.round(performance.now() - began);
results.html_bytes = body.length;
results.html_gzip_bytes = gzipSync(body).length;
results.status = html.status;
const board = Buffer.from(await (await fetch(service.admin + '/board')).arrayBuffer());
results.board_bytes = board.length;
results.board_gzip_bytes = gzipSync(board).length;

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
const tab = await (await browser.newContext({ viewport: { width: 1440, height: 1000 } })).newPage();
await tab.addInitScript(() => {
  window.long = [];
  new PerformanceObserver(list => window.long.push(...list.getEntries().map(entry => [Math.round(entry.startTime), Math.round(entry.duration)]))).observe({ type: 'longtask', buffered: true });
});
await tab.goto(service.admin + '/nodes');
await tab.waitForSelector('body[data-ready]');
results.ready_ms = Math.round(await tab.evaluate(() => performance.now()));
results.first_paint_ms = Math.round(await tab.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime));
const cdp = await tab.context().newCDPSession(tab);
await cdp.send('Performance.enable');
const metrics = async () => Object.fromEntries((await cdp.send('Performance.getMetrics')).metrics.map(metric => [metric.name, metric.value]));
await wait(3);
for (const where of ['top', 'table']) {
  if (where === 'table') await tab.evaluate(() => document.querySelector('#nodes').scrollIntoView());
  await tab.evaluate(() => {
    performance.clearMeasures();
    window.long = [];
  });
  const before = await metrics();
  await wait(SPAN_S);
  const after = await metrics();
  const ticks = (await tab.evaluate(() => performance.getEntriesByName('tick').map(entry => entry.duration))).sort((a, b) => a - b);
  results[where] = {
    ticks: ticks.length,
    drawing_median_ms: +ticks[ticks.length >> 1].toFixed(1), drawing_max_ms: +ticks.at(-1).toFixed(1),
    main_thread_per_tick_ms: +((after.TaskDuration - before.TaskDuration) * 1000 / ticks.length).toFixed(1),
    script_per_tick_ms: +((after.ScriptDuration - before.ScriptDuration) * 1000 / ticks.length).toFixed(1),
    tasks_over_50_ms: (await tab.evaluate(() => window.long)).map(([, duration]) => duration),
  };
}
results.rows_in_dom = await tab.evaluate(() => document.querySelectorAll('#nodes tbody tr').length);
await tab.evaluate(() => scrollTo(0, 0));
await wait(1);
await tab.screenshot({ path: `${output}/fleet-10000.png` });
await browser.close();

// Each page is a bare connection that reads: what is measured is the server's side.
await wait(17);
results.idle = await load('0 pages', SPAN_S);
const streams = [];
let bytes = 0;
for (let i = 0; i < PAGES; i++) {
  streams.push(get(service.admin + '/nodes/events', { agent: false, headers: { accept: 'text/event-stream' } }, response => response.on('data', data => (bytes += data.length))));
}
await wait(5);
bytes = 0;
results.open = await load(`${PAGES} pages`, SPAN_S);
results.bytes_per_page_s = Math.round(bytes / PAGES / SPAN_S);
streams.forEach(stream => stream.destroy());
await wait(17);
results.idle_again = await load('0 pages again', SPAN_S);
results.cost = +(results.open - (results.idle + results.idle_again) / 2).toFixed(4);
await service.stop();
exporter.close();
exporter.closeAllConnections();
console.log(JSON.stringify(results, null, 1));
writeFileSync(`${output}/measured.json`, JSON.stringify(results, null, 1));
