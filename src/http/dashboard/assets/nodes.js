// Keeps the operators' pages moving. They come complete from the server and work without this module.
import { $, fmt, h, t, text, time } from './dom.js';
import { REGIONS, worldMap } from './map.js';
import { skyline } from './skyline.js';
import { begin, fleet, isLost, on, retry, silentFor } from './store.js';
import * as summary from './summary.js';
import { nodeTable } from './table.js';
import { timeline } from './timeline.js';

const page = document.body.dataset.page, title = document.title;
/** A node's page is fetched again when its node has changed, but not more often than this, ms. */
const REFRESH = 3000;
/** While nobody looks, a frame is drawn every so many. */
const HIDDEN = 2;

// ---------------------------------------------------------------- shell
function shell() {
  const theme = $('#theme'), root = document.documentElement;
  theme.hidden = false;
  theme.addEventListener('click', () => {
    const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    root.dataset.theme = dark ? 'light' : 'dark';
    document.cookie = `nearcast_theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
    dispatchEvent(new Event('themed'));
  });
  const keys = $('#keys');
  let shortcuts = localStorage.getItem('nearcast-keys') !== 'off';
  const say = () => text(keys, t(shortcuts ? 'keys_on' : 'keys_off'));
  keys.hidden = false;
  keys.addEventListener('click', () => {
    shortcuts = !shortcuts;
    localStorage.setItem('nearcast-keys', shortcuts ? 'on' : 'off');
    say();
  });
  say();
  addEventListener('keydown', event => {
    if (!shortcuts || event.key !== '/' || event.ctrlKey || event.metaKey || /INPUT|SELECT|TEXTAREA/.test(event.target.tagName)) return;
    const field = $('input[type=search]') ?? $('.ask input');
    if (!field) return;
    event.preventDefault();
    field.focus();
  });
  for (const button of document.querySelectorAll('[data-copy]')) {
    button.hidden = false;
    button.addEventListener('click', () => {
      navigator.clipboard?.writeText((button.previousElementSibling ?? button.parentElement.nextElementSibling ?? button.parentElement.parentElement.querySelector('pre')).textContent);
      text(button, t('copied'));
    });
  }
  $('#lost-retry').addEventListener('click', retry);
}

/** Connected or not, and how old what is shown is: two facts, both always visible. */
function showLive() {
  const live = $('#live span'), at = fleet.now.at_unix_ms;
  if (!live || !at) return;
  const now = isLost ? t('ago', { s: fmt(silentFor()) }) : time(at) + ' UTC';
  live.replaceChildren(h('b', {}, t(isLost ? 'not_live' : 'live')), ' ', h('span', { class: 'long', 'data-live-age': '' }, now));
  document.title = (isLost ? `✕ ${t('not_live')} · ` : '') + title;
}
on('lost', state => {
  if (state.session) {
    const again = h('a', { class: 'btn small', href: location.pathname + location.search }, t('login_again'));
    $('#lost-text').replaceChildren(h('strong', {}, t('session_over')), ' ', again);
    document.body.classList.add('is-lost');
    return;
  }
  document.body.classList.toggle('is-lost', state.lost);
  if (state.for_s == null) {
    // Said once; the seconds tick outside of the alert.
    $('#lost-text').replaceChildren(...(state.lost ? [h('strong', {}, t('lost_head')), ' ', t('lost_body', { t: time(fleet.now.at_unix_ms ?? Date.now()) })] : []));
  } else text($('#lost-for'), t('lost_for', { s: fmt(state.for_s) }));
  showLive();
});

// ---------------------------------------------------------------- pages
function fleetPage() {
  const map = worldMap(), sky = skyline(), table = nodeTable();
  timeline();
  const lightAll = pops => {
    sky.light(pops);
    table.light(pops);
  };
  map.onLight(lightAll);
  map.onPick(pop => table.pick(pop));
  table.onLight(pops => sky.light(pops));
  addEventListener('themed', sky.recolour);
  regions(map);
  const events = $('#events'), panel = $('#map-panel');
  new ResizeObserver(() => events.style.setProperty('--stage-h', panel.offsetHeight + 'px')).observe(panel);
  let frames = 0, pending = false;
  const draw = () => {
    pending = false;
    const began = performance.now();
    summary.draw();
    $('#stale-fleet').hidden = !fleet.now.stale_fleet;
    table.tick();
    map.tick();
    sky.draw();
    showLive();
    const ms = performance.now() - began;
    performance.measure('tick', { start: began, duration: ms });
    text($('#took'), t('took', { ms: fmt(ms, 1) }));
  };
  on('whole', () => {
    summary.draw();
    map.layout();
    sky.renew();
    table.begin();
    table.tick();
    showLive();
    document.body.dataset.ready = 'yes';
  });
  on('fleet', () => {
    if (document.hidden && ++frames % HIDDEN) return;
    if (!pending) requestAnimationFrame(draw);
    pending = true;
  });
  on('flows', () => map.drawFlows());
  on('lost', () => fleet.now.states && summary.drawAge());
}

function regions(map) {
  const seg = $('#regions'), query = new URLSearchParams(location.search);
  let region = query.get('region') in REGIONS ? query.get('region') : 'world';
  seg.hidden = false;
  seg.append(...Object.keys(REGIONS).map(name => h('button', {
    type: 'button', 'aria-pressed': String(name === region), onclick: event => {
      for (const button of seg.children) button.setAttribute('aria-pressed', String(button === event.currentTarget));
      const next = new URLSearchParams(location.search);
      name === 'world' ? next.delete('region') : next.set('region', name);
      history.replaceState(null, '', next.size ? '?' + next : location.pathname);
      map.region(REGIONS[name]);
    },
  }, t(name))));
  if (region !== 'world') on('whole', () => map.region(REGIONS[region]));
}

/** A node's page is the server's: when its node has changed, the parts that show it are fetched again. */
function nodePage() {
  const id = decodeURIComponent(location.pathname.split('/').pop());
  let last = performance.now(), wanted = false, busy = false;
  async function refresh() {
    [busy, wanted] = [true, false];
    try {
      const response = await fetch(location.href, { headers: { accept: 'text/html' }, cache: 'no-store' });
      const next = new DOMParser().parseFromString(await response.text(), 'text/html');
      const draining = page => Boolean(page.querySelector('#preview'));
      // Drained or undrained elsewhere: the form is another one.
      if (response.status === 404 || draining(next) !== draining(document)) {
        if (!document.activeElement?.closest('#drain form')) $('#main').replaceChildren(...next.querySelector('#main').children);
      } else for (const part of document.querySelectorAll('[data-live]')) {
        const fresh = next.getElementById(part.id);
        if (fresh && !part.contains(document.activeElement)) part.replaceChildren(...fresh.childNodes);
      }
      document.body.dataset.refreshed = Number(document.body.dataset.refreshed ?? 0) + 1;
    } catch {
      wanted = true;
    }
    [busy, last] = [false, performance.now()];
  }
  on('rows', rows => (wanted ||= rows.some(row => fleet.nodes[row[0]]?.id === id)));
  on('happened', events => (wanted ||= events.some(event => event.node === id)));
  let known = false;
  on('whole', () => {
    wanted ||= known;
    known = true;
    document.body.dataset.ready = 'yes';
    showLive();
  });
  on('fleet', () => {
    showLive();
    if (wanted && !busy && !document.hidden && performance.now() - last > REFRESH) refresh();
  });
}

function explainPage() {
  const data = $('#drawn');
  let map;
  on('whole', () => {
    if (data) {
      const drawn = JSON.parse(data.textContent);
      map ??= worldMap(drawn);
      const pops = new Map(fleet.pops.map(pop => [pop.id, pop]));
      const near = drawn.candidates.slice(0, 6).map(candidate => pops.get(candidate.pop)).filter(pop => pop?.latitude != null);
      const lons = [drawn, ...near].map(place => place.longitude), lats = [drawn, ...near].map(place => place.latitude);
      map.region([Math.min(...lons) - 6.4, Math.max(-56, Math.min(...lats) - 4), Math.max(...lons) + 6.4, Math.min(83, Math.max(...lats) + 4)]);
      map.onPick(pop => (location.href = '/nodes?pop=' + encodeURIComponent(pop.id)));
    }
    document.body.dataset.ready = 'yes';
    showLive();
  });
  on('fleet', () => {
    map?.tick();
    showLive();
  });
}

function emptyPage() {
  on('whole', () => fleet.nodes.length && location.reload());
}

shell();
if ($('#empty')) emptyPage();
else ({ fleet: fleetPage, node: nodePage, explain: explainPage })[page]?.();
begin();
