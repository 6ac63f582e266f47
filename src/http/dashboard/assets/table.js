// The table: all nodes in the page's own scroll, of which only the rows on screen exist. The server's page of rows is
// replaced when the whole fleet is here; the URL stays the view.
import { $, age, band, fmt, glyph, h, nodeHref, rate, rateParts, s, t, text } from './dom.js';
import { why } from './sentences.js';
import { ageOf, fleet } from './store.js';

/** What needs attention first. */
const NEED = { overloaded: 0, down: 1, stale: 2, near: 3, starting: 4, draining: 5, unmeasured: 6, healthy: 7 };
const KEYS = {
  state: node => (node.why?.code === 'capped' ? NEED.near : NEED[node.state]) * 10 - (node.pressure ?? -1),
  press: node => -(node.pressure ?? -1),
  head: node => node.headroom,
  clients: node => -node.clients,
  egress: node => -node.egress,
  booked: node => -node.booked,
  answers: node => -node.answers,
  age: node => -(ageOf(node) ?? 1e9),
};
/** Rows beyond the edge of the screen that exist already. */
const AROUND = 6;
const LANES = ['system_cpu', 'process_cpu', 'bandwidth'];
const NARROW = 960;
const compareIds = new Intl.Collator('en', { numeric: true }).compare;

function lanes() {
  const svg = s('svg', { class: 'lanes', viewBox: '0 0 150 24', 'aria-hidden': 'true' }), seen = [];
  const parts = [2, 9.5, 17].map(y => {
    const lane = { m: s('rect', { y, height: 5 }), b: s('rect', { y, height: 5 }) };
    svg.append(s('rect', { class: 't', y, width: 150, height: 5 }), lane.m, lane.b);
    return lane;
  });
  svg.append(s('path', { class: 'limit', d: 'M120.5 0V24' }));
  const set = node => parts.forEach((lane, i) => {
    const measured = Math.min(150, node.lanes[i] * 120), booked = Math.max(0, Math.min(150 - measured, node.lanes[i + 3] * 120));
    const tight = node.tightest === LANES[i] && node.pressure != null ? ` tight f${band(node.pressure)}` : '';
    const key = measured.toFixed(0) + '/' + booked.toFixed(1) + tight;
    if (seen[i] === key) return;
    seen[i] = key;
    lane.m.setAttribute('width', measured.toFixed(1));
    lane.m.setAttribute('class', 'm' + tight);
    lane.b.setAttribute('x', measured.toFixed(1));
    lane.b.setAttribute('width', booked.toFixed(1));
    lane.b.setAttribute('class', 'b' + tight);
  });
  return { svg, set };
}

export function nodeTable() {
  const root = $('#nodes'), table = root.querySelector('table'), tbody = root.querySelector('tbody'), form = $('#filters'), count = $('#count');
  const query = new URLSearchParams(location.search);
  const filter = { q: query.get('q') ?? '', pool: query.get('pool') ?? '', pop: query.get('pop') ?? '', state: query.get('state') ?? '' };
  let [sortBy, direction] = (query.get('sort') ?? 'state').split('-');
  if (!(sortBy in KEYS) && sortBy !== 'id') sortBy = 'state';
  let reversed = direction === 'desc', rows = [], shown = new Map(), free = [], held = false, lit = new Set(), range = [-1, -1];
  const heads = [...table.querySelectorAll('[data-sort]')], chips = [...form.querySelectorAll('[data-state]')];
  const spacer = () => h('tr', { class: 'spacer', 'aria-hidden': 'true' }, h('td', {}));
  const top = spacer(), bottom = spacer();
  const none = h('tr', { class: 'none' }, h('td', { colspan: 10 }, t('none_match') + '. ', h('a', { href: '/nodes' }, t('clear'))));

  function save() {
    const next = new URLSearchParams(location.search);
    for (const name in filter) filter[name] ? next.set(name, filter[name]) : next.delete(name);
    next.delete('page');
    sortBy === 'state' && !reversed ? next.delete('sort') : next.set('sort', sortBy + (reversed ? '-desc' : ''));
    history.replaceState(null, '', next.size ? '?' + next : location.pathname);
  }
  function change() {
    save();
    order(true);
  }

  function select() {
    const q = filter.q.trim().toLowerCase();
    const finds = node => node.address.startsWith(q) || [node.id, node.pool, node.pop.id].some(word => word.toLowerCase().includes(q));
    rows = fleet.nodes.filter(node => (!filter.pool || node.pool === filter.pool) && (!filter.pop || node.pop.id === filter.pop)
      && (!filter.state || node.state === filter.state) && (!q || finds(node)));
  }
  function sort() {
    const key = KEYS[sortBy];
    if (key) {
      const value = new Float64Array(fleet.nodes.length);
      for (const node of rows) value[node.i] = key(node);
      rows.sort((a, b) => value[a.i] - value[b.i] || a.place - b.place);
    } else rows.sort((a, b) => a.place - b.place);
    if (reversed) rows.reverse();
  }
  /** The order is held while somebody reads; a filter or a click makes it anew at once. */
  function order(now) {
    if (held && !now) return;
    select();
    sort();
    for (const head of heads) {
      const th = head.parentElement, own = head.dataset.sort;
      own === sortBy ? th.setAttribute('aria-sort', (own === 'id' || own === 'head') !== reversed ? 'ascending' : 'descending') : th.removeAttribute('aria-sort');
    }
    for (const chip of chips) {
      const on = filter.state === chip.dataset.state;
      chip.classList.toggle('is-on', on);
      on ? chip.setAttribute('aria-current', 'true') : chip.removeAttribute('aria-current');
    }
    table.setAttribute('aria-rowcount', rows.length + 1);
    text(count, t('showing', { a: fmt(rows.length), b: fmt(fleet.nodes.length) }));
    layout(true);
  }

  function make() {
    const c = { lanes: lanes() };
    const td = (name, more, ...children) => h('td', { class: `c-${name} ${more}`, ...(name === 'head' ? { 'data-label': t('more_viewers') } : {}) }, ...children);
    const span = name => (c[name] = h('span', {})), unit = words => h('span', { class: 'unit' }, words);
    c.tr = h('tr', { onpointerenter: () => onLight([c.node.pop]), onpointerleave: () => onLight([]) },
      td('id', 'two', (c.id = h('a', { class: 'id' })), (c.pop = h('small', {}))),
      td('state', '', span('glyph'), ' ', span('state')),
      td('press', '', h('div', { class: 'press' }, c.lanes.svg, (c.v = h('span', {}, (c.pressure = h('b', {})), (c.tight = h('small', {})))))),
      td('head', 'num', span('head')), td('clients', 'num', span('clients')),
      td('egress', 'num two', span('egress'), (c.limit = h('small', {}))),
      td('booked', 'num', span('booked'), ' ', (c.bookedUnit = unit(''))), td('answers', 'num', span('answers'), ' ', unit('/s')),
      td('age', 'num', span('age'), ' ', unit('s')), td('why', 'why', span('why')));
    return c;
  }
  const put = (element, name) => {
    if (element.className !== name) element.className = name;
  };
  function fill(c, node, i) {
    if (c.node !== node) {
      c.node = node;
      c.shown = null;
      text(c.id, node.id);
      c.id.href = nodeHref(node.id);
      text(c.pop, node.pop.id + ' · ' + node.pool);
    }
    if (c.i !== i) c.tr.setAttribute('aria-rowindex', (c.i = i) + 2);
    if (c.shown !== node.state) {
      c.shown = node.state;
      c.glyph.replaceChildren(glyph(node.state));
      text(c.state, t('st_' + node.state));
    }
    put(c.tr, (node.state === 'overloaded' ? 'is-overloaded' : '') + (lit.has(node.pop) ? ' is-on' : ''));
    c.lanes.set(node);
    const known = node.pressure != null;
    text(c.pressure, known ? fmt(node.pressure, 2) : '–');
    text(c.tight, known ? t('r_' + node.tightest) : '');
    put(c.v, 'v' + (node.pressure >= 1 ? ' hot' : node.pressure >= 0.85 ? ' warm' : ''));
    text(c.head, fmt(node.headroom));
    text(c.clients, fmt(node.clients));
    text(c.egress, rate(node.egress));
    text(c.limit, t('limit') + ' ' + rate(node.limit));
    const [booked, unit] = rateParts(node.booked);
    text(c.booked, booked);
    text(c.bookedUnit, unit);
    text(c.answers, fmt(node.answers, 1));
    const old = ageOf(node);
    text(c.age, old == null ? '–' : age(old));
    if (c.why0 !== node.why || c.whyOf !== node) {
      [c.why0, c.whyOf] = [node.why, node];
      text(c.why, why(node, fleet.now.at_unix_ms));
    }
  }

  function layout(all) {
    const height = parseFloat(getComputedStyle(document.documentElement).getPropertyValue('--row')) || 48;
    const y0 = tbody.getBoundingClientRect().top;
    const from = Math.min(rows.length, Math.max(0, Math.floor(-y0 / height) - AROUND));
    const to = Math.max(from, Math.min(rows.length, Math.ceil((innerHeight - y0) / height) + AROUND));
    if (!all && from === range[0] && to === range[1]) return;
    range = [from, to];
    for (const [row, skipped] of [[top, from], [bottom, rows.length - to]]) {
      row.firstChild.style.height = skipped * height + 'px';
      row.style.height = innerWidth <= NARROW ? skipped * height + 'px' : '';
      row.hidden = !skipped;
    }
    none.hidden = rows.length > 0;
    for (const [i, c] of shown) if (i < from || i >= to) {
      c.tr.remove();
      free.push(c);
      shown.delete(i);
    }
    let next = top.nextSibling;
    for (let i = from; i < to; i++) {
      let c = shown.get(i);
      if (!c) shown.set(i, (c = free.pop() ?? make()));
      fill(c, rows[i], i);
      if (next === c.tr) next = next.nextSibling;
      else tbody.insertBefore(c.tr, next);
    }
  }

  const hold = now => {
    held = now;
    root.classList.toggle('is-held', now);
    if (!now) order();
  };
  table.addEventListener('pointerenter', event => event.pointerType === 'mouse' && hold(true));
  table.addEventListener('pointerleave', () => hold(false));
  table.addEventListener('focusin', () => hold(true));
  table.addEventListener('focusout', event => table.contains(event.relatedTarget) || hold(false));
  for (const head of heads) head.addEventListener('click', click => {
    click.preventDefault();
    const own = head.dataset.sort;
    reversed = sortBy === own ? !reversed : false;
    sortBy = own;
    change();
  });
  for (const chip of chips) chip.addEventListener('click', click => {
    click.preventDefault();
    filter.state = filter.state === chip.dataset.state ? '' : chip.dataset.state;
    change();
  });
  form.addEventListener('submit', event => event.preventDefault());
  form.q.addEventListener('input', () => {
    filter.q = form.q.value;
    change();
  });
  for (const name of ['pool', 'pop']) form[name].addEventListener('change', () => {
    filter[name] = form[name].value;
    change();
  });
  let queued = false;
  const later = () => {
    if (queued) return;
    queued = true;
    requestAnimationFrame(() => {
      queued = false;
      layout();
    });
  };
  addEventListener('scroll', later, { passive: true });
  addEventListener('resize', () => {
    range = [-1, -1];
    later();
  });

  let ticks = 0, taken = false, onLight = () => {};
  return {
    /** The whole fleet is here (again). */
    begin() {
      if (!taken) {
        taken = true;
        $('#pages').hidden = true;
        $('#apply').hidden = true;
        tbody.replaceChildren(top, bottom, none);
      }
      // Names are compared once; ties are many, and a comparison of names is dear.
      [...fleet.nodes].sort((a, b) => compareIds(a.id, b.id)).forEach((node, place) => (node.place = place));
      for (const c of shown.values()) c.tr.remove();
      [shown, free] = [new Map(), []];
      order(true);
    },
    tick() {
      for (const chip of chips) {
        const n = fleet.now.states[chip.dataset.state] ?? 0;
        text(chip.querySelector('b'), fmt(n));
        chip.classList.toggle('zero', !n);
      }
      for (const [i, c] of shown) fill(c, c.node, i);
      // In a task of its own: never in the frame of a tick.
      if (++ticks % 5 === 0 && !held) (window.requestIdleCallback ?? setTimeout)(() => order());
    },
    pick(pop) {
      filter.pop = filter.pop === pop.id ? '' : pop.id;
      form.pop.value = filter.pop;
      change();
    },
    light(pops) {
      lit = new Set(pops);
      for (const [i, c] of shown) fill(c, c.node, i);
    },
    onLight: act => (onLight = act),
  };
}
