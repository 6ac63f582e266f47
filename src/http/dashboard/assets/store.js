// The fleet as the server tells it: one request for all of it, one stream for what changes.
// Being connected and having fresh data are two facts; `lost` is about both, because either alone can lie.

/** No frame for so long, ms: what is shown is not live any more. The server sends one each second. */
const SILENCE = 5000;

export const fleet = { nodes: [], pops: [], pools: [], now: {}, flows: { flows: [], total: 0, per_s: 0 }, events: new Map() };
const listeners = { rows: [], fleet: [], flows: [], happened: [], whole: [], lost: [] };
export const on = (what, listener) => listeners[what].push(listener);
const tell = (what, value) => listeners[what].forEach(listener => listener(value));

let lastFrame = performance.now();
let source, lastId, version;
export let isLost = false;
export const silentFor = () => (performance.now() - lastFrame) / 1000;

function applyRow(row) {
  const node = fleet.nodes[row[0]];
  if (!node) return;
  node.state = fleet.states[row[1]];
  node.pressure = row[2];
  node.tightest = fleet.resources[row[3]];
  node.lanes = row.slice(4, 10);
  [node.headroom, node.clients, node.egress, node.limit, node.capacity, node.booked, node.answers] = row.slice(10, 17);
  node.seen = row[17] == null ? null : performance.now() - row[17] * 1000;
  node.why = row[18];
}

/** Age of a node's evidence, s; it grows by itself until the next sample. */
export const ageOf = node => (node.seen == null ? null : Math.max(0, (performance.now() - node.seen) / 1000));

async function load() {
  const response = await fetch('/board', { headers: { accept: 'application/json' }, cache: 'no-store' });
  if (response.status === 401) return sessionOver();
  if (!response.ok) throw new Error(response.statusText);
  const whole = await response.json();
  lastId = whole.id;
  Object.assign(fleet, { states: whole.states, resources: whole.resources, pools: whole.pools, flows: whole.flows, now: whole.fleet });
  fleet.pops = whole.pops.map((pop, i) => ({ ...pop, i, nodes: [] }));
  fleet.nodes = whole.nodes.map(([id, pop, pool, address], i) => ({ i, id, pop: fleet.pops[pop], pool: whole.pools[pool], address }));
  for (const node of fleet.nodes) node.pop.nodes.push(node);
  whole.rows.forEach(applyRow);
  lastFrame = performance.now();
  tell('whole');
}

function sessionOver() {
  source?.close();
  tell('lost', { session: true });
}

function connect() {
  source?.close();
  source = new EventSource('/nodes/events?since=' + encodeURIComponent(lastId ?? ''));
  const heard = (event, act) => source.addEventListener(event, message => act(JSON.parse(message.data), message));
  heard('hello', hello => {
    // Another version speaks after a restart: its pages may be others too.
    if (version && version !== hello.version) location.reload();
    version = hello.version;
  });
  heard('rows', rows => {
    rows.forEach(applyRow);
    tell('rows', rows);
  });
  heard('fleet', (now, message) => {
    lastId = message.lastEventId || lastId;
    lastFrame = performance.now();
    fleet.now = now;
    setLost(false);
    tell('fleet', now);
  });
  heard('flows', flows => {
    fleet.flows = flows;
    tell('flows');
  });
  heard('happened', events => tell('happened', events));
  heard('reset', () => load().catch(() => {}));
  source.onerror = () => {
    // The browser tries again by itself unless the server refused it.
    if (source.readyState === EventSource.CLOSED) setTimeout(begin, 2000);
  };
}

function setLost(lost) {
  if (isLost === lost) return;
  isLost = lost;
  tell('lost', { lost });
}

/** Begins, or begins again. */
export async function begin() {
  try {
    await load();
    connect();
  } catch {
    setTimeout(begin, 2000);
  }
}

/** Tries now what would be tried soon. */
export function retry() {
  source?.close();
  begin();
}

setInterval(() => {
  if (silentFor() * 1000 > SILENCE) setLost(true);
  if (isLost) tell('lost', { lost: true, for_s: silentFor() });
}, 500);
