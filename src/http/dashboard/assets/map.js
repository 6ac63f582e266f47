// The map: PoPs by pressure and capacity, tapered arcs of the last minute, clusters that keep the cost constant.
import { $, band, fmt, h, rate, s, t, text } from './dom.js';
import { fleet } from './store.js';

const W = 2000, H = 870, K = 365.5793, TOP = 1.382343, CENTRE = 11, RAD = Math.PI / 180;
export const REGIONS = { world: null, asia: [60, -12, 148, 48], europe: [-12, 34, 42, 62], americas: [-128, -40, -32, 54] };
/** PoPs closer than so many pixels become one mark. */
const MERGE_FEW = 8, MERGE_MANY = 17;
const CLOSEST = 14;

/** Natural Earth I, with the numbers of make-world.mjs. */
function project(lon, lat) {
  let l = lon - CENTRE;
  if (l < -180) l += 360;
  if (l > 180) l -= 360;
  l *= RAD;
  const p = lat * RAD, p2 = p * p, p4 = p2 * p2;
  return [
    l * (0.8707 - 0.131979 * p2 + p4 * (-0.013791 + p4 * (0.003971 * p2 - 0.001529 * p4))) * K + W / 2,
    (TOP - p * (1.007226 + p2 * (0.015085 + p4 * (-0.044475 + 0.028874 * p2 - 0.005916 * p4)))) * K,
  ];
}
const path = points => points.map(([x, y], i) => (i ? 'L' : 'M') + x.toFixed(0) + ' ' + y.toFixed(0)).join('');

function graticule() {
  let d = '';
  for (let lon = -150; lon <= 180; lon += 30) {
    const meridian = [];
    for (let lat = -57; lat <= 84; lat += 5) meridian.push(project(lon === 180 ? 179.9 : lon, lat));
    d += path(meridian);
  }
  for (const lat of [-30, 0, 30, 60]) d += path([project(CENTRE - 179.9, lat), project(CENTRE + 179.9, lat)]);
  return d;
}

/** Where it is dark evening has been; load follows it west. */
function night(ms) {
  const sun = 180 - ((ms / 864e5) % 1) * 360, day = Math.floor(ms / 864e5) % 365.25;
  const declination = -23.44 * Math.cos(((day + 10) / 365.25) * 2 * Math.PI) || 0.01, line = [];
  for (let l = -179.9; l <= 179.9; l += 4) {
    const lon = CENTRE + l;
    const lat = Math.atan(-Math.cos((lon - sun) * RAD) / Math.tan(declination * RAD)) / RAD;
    line.push(project(lon, Math.max(-57, Math.min(84, lat))));
  }
  const dark = declination < 0 ? 84 : -57, light = dark === 84 ? -57 : 84;
  for (const [side, from, to] of [[179.9, light, dark], [-179.9, dark, light]]) {
    for (let i = 0; i <= 24; i++) line.push(project(CENTRE + side, from + ((to - from) * i) / 24));
  }
  return path(line) + 'Z';
}

/** Thin at the client, wide at the node, so that direction needs no animation. */
function taper(x0, y0, x1, y1, width) {
  const dx = x1 - x0, dy = y1 - y0, length = Math.hypot(dx, dy) || 1, nx = -dy / length, ny = dx / length;
  const mx = (x0 + x1) / 2, my = (y0 + y1) / 2 - Math.min(90, length * 0.22) * 0.85, a = width / 2, b = width * 0.3;
  const at = (x, y) => x.toFixed(1) + ' ' + y.toFixed(1);
  return `M${at(x0, y0)}Q${at(mx + nx * b, my + ny * b)} ${at(x1 + nx * a, y1 + ny * a)}`
    + `L${at(x1 - nx * a, y1 - ny * a)}Q${at(mx - nx * b, my - ny * b)} ${at(x0, y0)}Z`;
}

/** What the nodes of some PoPs come to. */
function tally(pops) {
  const sum = { n: 0, capacity: 0, known: 0, pressure: 0, over: 0, silent: 0, headroom: 0, answers: 0, tight: null };
  for (const pop of pops) for (const node of pop.nodes) {
    sum.n++;
    sum.capacity += node.capacity || 1;
    sum.headroom += node.headroom;
    sum.answers += node.answers;
    if (node.state === 'overloaded') sum.over++;
    if (node.state === 'down' || node.state === 'stale') sum.silent++;
    if (node.pressure == null) continue;
    sum.known += node.capacity || 1;
    sum.pressure += node.pressure * (node.capacity || 1);
    if (!sum.tight || node.pressure > sum.tight.pressure) sum.tight = node;
  }
  sum.pressure = sum.known ? sum.pressure / sum.known : 0;
  return sum;
}

/** `explained`: what the explain page draws, instead of flows. */
export function worldMap(explained) {
  const box = $('#map'), land = box.querySelector('use').cloneNode(true);
  const gLand = s('g', {}, s('path', { class: 'grat', d: graticule() }), land);
  if (!explained) gLand.append(s('path', { class: 'night', d: night(fleet.now.at_unix_ms ?? Date.now()) }));
  const layer = hidden => s('g', { 'aria-hidden': hidden ? 'true' : null });
  const gArcs = layer(true), gCells = layer(true), gText = layer(true), gBadges = layer(true), gPops = layer(false);
  const svg = s('svg', { role: 'group', 'aria-label': t('map_label') }, gLand, gArcs,
    ...(explained ? [gText, gPops, gCells] : [gCells, gText, gPops]), gBadges);
  const tip = h('div', { class: 'tip', hidden: true }), note = h('p', { class: 'note' });
  let k = 1, cx = W / 2, cy = H, vw = 800, vh = 430, aim = null, marks = [], of = new Map(), arcs = [], keepOut = [];
  let onPick = () => {}, onLight = () => {};

  const zoomed = factor => {
    k = Math.max(1, Math.min(CLOSEST, k * factor));
    aim = null;
    layout();
  };
  const zoom = (label, factor, sign) => h('button', { type: 'button', 'aria-label': label, onclick: () => zoomed(factor) }, sign);
  box.replaceChildren(svg, h('div', { class: 'zoom' }, zoom(t('zoom_in'), 1.6, '+'), zoom(t('zoom_out'), 1 / 1.6, '−')), note, tip);

  const fit = () => Math.min(vw / W, vh / (H * 0.9));
  const scale = () => fit() * k;
  const pixel = (x, y) => [(x - cx) * scale() + vw / 2, (y - cy) * scale() + vh / 2];
  const radius = (capacity, most) => (vw < 500 ? 2.4 : 3.4) + (vw < 500 ? 5 : 7.5) * Math.sqrt(capacity / most) * Math.min(1.5, Math.sqrt(k));
  const label = mark => mark.pops[0].id + (mark.pops.length > 1 ? ' +' + (mark.pops.length - 1) : '');
  const tone = mark => (mark.sum.over ? ' hot' : mark.sum.pressure >= 0.85 ? ' warm' : '');

  /** Puts the frame around what is aimed at. */
  function frame() {
    if (!aim) return;
    const [west, south, east, north] = aim;
    const corners = [[west, north], [east, north], [west, south], [east, south]].map(([lon, lat]) => project(lon, lat));
    const xs = corners.map(p => p[0]), ys = corners.map(p => p[1]);
    const x0 = Math.min(...xs), x1 = Math.max(...xs), y0 = Math.min(...ys), y1 = Math.max(...ys);
    k = Math.max(1, Math.min(CLOSEST, Math.min(vw / (x1 - x0), vh / (y1 - y0)) / fit()));
    cx = (x0 + x1) / 2;
    cy = (y0 + y1) / 2;
  }

  function layout() {
    const r = svg.getBoundingClientRect();
    vw = r.width || 800;
    vh = r.height || 430;
    frame();
    const halfX = vw / 2 / scale(), halfY = vh / 2 / scale();
    cx = halfX * 2 >= W ? W / 2 : Math.max(halfX, Math.min(W - halfX, cx));
    cy = halfY * 2 >= H ? H / 2 : Math.max(halfY, Math.min(H - halfY - 14, cy));
    svg.setAttribute('viewBox', `0 0 ${vw} ${vh}`);
    gLand.setAttribute('transform', `translate(${vw / 2 - cx * scale()} ${vh / 2 - cy * scale()}) scale(${scale()})`);
    cluster();
    explained ? drawExplained() : drawFlows();
    gPops.replaceChildren(...marks.map(makeMark));
    labels();
  }

  /** PoPs closer than a few pixels become one mark, the largest of them gives the name. */
  function cluster() {
    const near = fleet.pops.length > 100 ? MERGE_MANY : MERGE_FEW;
    const size = pop => pop.nodes.reduce((sum, node) => sum + (node.capacity || 1), 0);
    const pops = fleet.pops.filter(pop => pop.latitude != null && pop.nodes.length).map(pop => ({ pop, size: size(pop) }));
    marks = [];
    for (const { pop } of pops.sort((a, b) => b.size - a.size)) {
      const [x, y] = pixel(...project(pop.longitude, pop.latitude));
      if (x < -30 || y < -30 || x > vw + 30 || y > vh + 30) continue;
      const mark = marks.find(m => Math.abs(m.x - x) < near && Math.abs(m.y - y) < near);
      mark ? mark.pops.push(pop) : marks.push({ x, y, pops: [pop] });
    }
    of = new Map();
    for (const mark of marks) {
      mark.sum = tally(mark.pops);
      for (const pop of mark.pops) of.set(pop, mark);
    }
    const most = Math.max(...marks.map(mark => mark.sum.capacity), 1);
    for (const mark of marks) mark.r = radius(mark.sum.capacity, most);
    marks.sort((a, b) => a.sum.pressure - b.sum.pressure);
  }

  function makeMark(mark, i) {
    mark.band = -1;
    mark.g = s('g', {
      class: 'pop' + (mark.aside ? ' is-aside' : ''), role: 'button', tabindex: i === marks.length - 1 ? 0 : -1,
      transform: `translate(${mark.x.toFixed(1)} ${mark.y.toFixed(1)})`,
      onfocus: () => show(mark), onblur: hide, onpointerenter: () => show(mark), onpointerleave: hide,
      onclick: () => onPick(mark.pops[0]), onkeydown: event => keys(event, mark),
    });
    mark.halo = s('circle', { class: 'halo', r: mark.r + 3.2 });
    mark.broken = s('circle', { class: 'broken', r: mark.r + 3 });
    mark.dot = s('circle', { r: mark.r });
    mark.g.append(s('circle', { r: Math.max(12, mark.r + 4), fill: 'transparent' }), s('circle', { class: 'focus', r: mark.r + 6.5 }),
      mark.halo, mark.broken, mark.dot);
    paint(mark);
    return mark.g;
  }

  function paint(mark) {
    const { sum } = mark, b = band(sum.pressure);
    if (b !== mark.band) {
      mark.band = b;
      mark.dot.setAttribute('class', 'dot f' + b);
    }
    mark.halo.setAttribute('visibility', sum.over ? 'visible' : 'hidden');
    mark.broken.setAttribute('visibility', sum.silent / sum.n >= 0.2 && !sum.over ? 'visible' : 'hidden');
    const aria = `${label(mark)}: ${t('pressure')} ${fmt(sum.pressure, 2)}, ${fmt(sum.n)} ${t('nodes')}, ${t('headroom')} ${fmt(sum.headroom)} ${t('viewers')}`
      + (sum.over ? `, ${sum.over} ${t('st_overloaded')}` : '');
    if (mark.aria !== aria) mark.g.setAttribute('aria-label', (mark.aria = aria));
  }

  /** Names are placed greedily, those that need attention first, and never over each other. */
  function labels() {
    const out = [], most = vw < 500 ? 5 : 26;
    const boxes = marks.map(m => [m.x - m.r, m.y - m.r, m.x + m.r, m.y + m.r]).concat(keepOut);
    const need = (a, b) => (b.sum.over > 0) - (a.sum.over > 0) || (b.sum.pressure >= 0.85) - (a.sum.pressure >= 0.85) || b.sum.capacity - a.sum.capacity;
    for (const mark of [...marks].sort(need)) {
      if (out.length >= most) break;
      const hot = tone(mark), words = label(mark) + (hot ? ' · ' + fmt(mark.sum.over ? mark.sum.tight.pressure : mark.sum.pressure, 2) : '');
      const width = [...words].reduce((sum, c) => sum + (c > '\u2e80' ? 12 : 6.3), 0), off = mark.r + (mark.sum.over ? 8 : 6);
      for (const side of [1, -1]) {
        const x = side > 0 ? mark.x + off : mark.x - off - width, b = [x - 3, mark.y - 8, x + width + 3, mark.y + 8];
        if (b[0] < 2 || b[2] > vw - 46 || b[1] < 2 || b[3] > vh - 26) continue;
        if (boxes.some(o => o[0] < b[2] && o[2] > b[0] && o[1] < b[3] && o[3] > b[1])) continue;
        boxes.push(b);
        out.push(s('text', { class: 'plabel' + hot, x: (side > 0 ? x : mark.x - off).toFixed(1), y: (mark.y + 4).toFixed(1), 'text-anchor': side > 0 ? 'start' : 'end' }, words));
        break;
      }
    }
    gText.replaceChildren(...out);
  }

  function drawFlows() {
    const { flows, total, per_s } = fleet.flows, cells = [];
    const highest = Math.max(...flows.map(flow => flow.per_s), 0.001);
    arcs = [];
    let sum = 0;
    for (const flow of [...flows].sort((a, b) => (a.nearest != null) - (b.nearest != null))) {
      const mark = of.get(fleet.pops[flow.pop]);
      sum += flow.per_s;
      if (!mark) continue;
      const [x, y] = pixel(...project(flow.longitude, flow.latitude));
      const width = 1.4 + 5.2 * Math.sqrt(flow.per_s / highest);
      const el = s('path', { class: 'arc' + (flow.nearest != null ? ' moved' : ''), d: taper(x, y, mark.x, mark.y, width) });
      arcs.push({ el, mark, from: flow.nearest == null ? null : of.get(fleet.pops[flow.nearest]) });
      if (Math.hypot(x - mark.x, y - mark.y) > 26) cells.push(s('circle', { class: 'cell', cx: x.toFixed(1), cy: y.toFixed(1), r: 1.5 }));
    }
    gArcs.replaceChildren(...arcs.map(arc => arc.el));
    gCells.replaceChildren(...cells);
    const share = per_s ? Math.min(1, sum / per_s) : 0;
    text(note, flows.length
      ? t('flows', { a: fmt(flows.length), b: fmt(total), p: fmt(share * 100), n: fmt(per_s, per_s < 100 ? 1 : 0) }) : t('no_flows'));
  }

  function drawExplained() {
    const [x, y] = pixel(...project(explained.longitude, explained.latitude));
    const byName = new Map(fleet.pops.map(pop => [pop.id, pop])), at = name => of.get(byName.get(name));
    const seen = new Set(), paths = [], badges = [], aside = new Set(marks);
    for (const { pop, rank } of explained.candidates) {
      const mark = at(pop);
      aside.delete(mark);
      if (!mark || (seen.has(mark) && !rank)) continue;
      seen.add(mark);
      const width = rank === 1 ? 8 : rank ? 4 : 2.5;
      paths.unshift(s('path', { class: 'arc cand' + (rank ? ' pick' : ''), d: taper(x, y, mark.x, mark.y, width) }));
      if (!rank) continue;
      const off = (mark.r + 9) * 0.72;
      badges.push(s('g', { class: 'badge' + (rank > 1 ? ' alt' : ''), transform: `translate(${mark.x - off} ${mark.y - off})` },
        s('circle', { r: 8.5 }), s('text', { y: 4 }, String(rank))));
    }
    for (const pop of explained.excluded) aside.delete(at(pop));
    for (const mark of marks) mark.aside = aside.has(mark);
    gArcs.replaceChildren(...paths);
    gBadges.replaceChildren(...badges);
    keepOut = [[x - 40, y - 12, x + 40, y + 34]];
    gCells.replaceChildren(s('circle', { class: 'client-ring', cx: x, cy: y, r: 11 }), s('circle', { class: 'client', cx: x, cy: y, r: 5.5 }),
      s('text', { class: 'plabel me', x, y: y + 27, 'text-anchor': 'middle' }, explained.place));
  }

  function show(mark) {
    for (const arc of arcs) arc.el.classList.toggle('on', arc.mark === mark || arc.from === mark);
    box.classList.toggle('is-picking', !explained);
    onLight(mark.pops);
    const { sum } = mark, tight = sum.tight;
    const rows = [
      [t('nodes'), fmt(sum.n) + (sum.over ? ` · ${sum.over} ${t('st_overloaded')}` : '')],
      [t('headroom'), `${fmt(sum.headroom)} ${t('viewers')}`],
      [t('answers'), fmt(sum.answers, 1) + ' /s'],
      [t('capacity'), rate(sum.capacity)],
      tight && [t('tightest'), `${tight.id} · ${t('r_' + tight.tightest)} ${fmt(tight.pressure, 2)}`],
    ];
    tip.replaceChildren(h('h3', {}, label(mark), h('span', {}, fmt(sum.pressure, 2))),
      h('dl', {}, rows.filter(Boolean).map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)])));
    tip.hidden = false;
    const r = tip.getBoundingClientRect(), below = mark.y + mark.r + 10;
    const y = below + r.height > vh ? mark.y - mark.r - 10 - r.height : below;
    tip.style.left = Math.max(8, Math.min(vw - r.width - 8, mark.x - r.width / 2)) + 'px';
    tip.style.top = Math.max(6, y) + 'px';
  }
  function hide() {
    tip.hidden = true;
    box.classList.remove('is-picking');
    onLight([]);
  }

  /** One tab stop; arrows walk to the nearest mark in that direction. */
  function keys(event, mark) {
    const toward = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === 'Escape') return hide();
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      return onPick(mark.pops[0]);
    }
    if (!toward) return;
    event.preventDefault();
    let best, least = Infinity;
    for (const other of marks) {
      const dx = other.x - mark.x, dy = other.y - mark.y, along = dx * toward[0] + dy * toward[1], aside = Math.abs(dx * toward[1] - dy * toward[0]);
      if (other === mark || along <= 2 || along + aside * 2.2 >= least) continue;
      least = along + aside * 2.2;
      best = other;
    }
    if (!best) return;
    mark.g.setAttribute('tabindex', -1);
    best.g.setAttribute('tabindex', 0);
    best.g.focus();
  }

  let drag;
  svg.addEventListener('pointerdown', event => {
    if (event.pointerType !== 'mouse' || event.target.closest('.pop')) return;
    drag = [event.clientX, event.clientY, cx, cy];
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener('pointermove', event => {
    if (!drag) return;
    aim = null;
    cx = drag[2] - (event.clientX - drag[0]) / scale();
    cy = drag[3] - (event.clientY - drag[1]) / scale();
    layout();
  });
  svg.addEventListener('pointerup', () => (drag = null));
  svg.addEventListener('wheel', event => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoomed(event.deltaY < 0 ? 1.15 : 1 / 1.15);
  }, { passive: false });
  new ResizeObserver(() => layout()).observe(svg);

  return {
    layout,
    drawFlows,
    region(region) {
      aim = region;
      if (!region) [k, cx, cy] = [1, W / 2, H];
      layout();
    },
    /** Colours and rings follow the numbers; names are placed anew only if one of them needs attention now. */
    tick() {
      let changed = false;
      for (const mark of marks) {
        const before = tone(mark);
        mark.sum = tally(mark.pops);
        paint(mark);
        changed ||= tone(mark) !== before;
      }
      if (changed) labels();
    },
    onPick: act => (onPick = act),
    onLight: act => (onLight = act),
  };
}
