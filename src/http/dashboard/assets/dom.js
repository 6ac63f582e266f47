// Words, numbers and elements. Text only ever enters the page as text: nothing here parses HTML of others.

export const lang = document.documentElement.lang;
const WORDS = (await import(`./${lang}.js`)).default;

/** A text of the page's language, filled in. */
export const t = (key, values) => {
  const text = WORDS[key] ?? key;
  return values ? text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '') : text;
};

const formats = {};
/** A number with so many decimals. */
export const fmt = (value, decimals = 0) => {
  formats[decimals] ??= new Intl.NumberFormat(lang, { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  return formats[decimals].format(value);
};
export const percent = share => fmt(share * 100);
/** Mbit/s: the number and its unit. */
export const rateParts = mbps => {
  if (mbps >= 100000) return [fmt(mbps / 1000), 'Gbps'];
  if (mbps >= 1000) return [fmt(mbps / 1000, 1), 'Gbps'];
  return [fmt(mbps, mbps >= 10 || mbps === 0 ? 0 : 1), 'Mbps'];
};
export const rate = mbps => rateParts(mbps).join(' ');
export const age = seconds => fmt(seconds, seconds < 9.95 ? 1 : 0);
export const lasting = s => {
  if (s < 120) return `${s} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`;
};
export const time = ms => new Date(ms).toISOString().slice(11, 19);
export const until = (ms, now) => {
  const [day, clock] = new Date(ms).toISOString().split('T');
  return (day === new Date(now).toISOString().slice(0, 10) ? '' : day + ' ') + clock.slice(0, 5) + ' UTC';
};
/** Which of the five colours a pressure has. */
export const band = x => (x >= 1 ? 4 : x >= 0.85 ? 3 : x >= 0.6 ? 2 : x >= 0.3 ? 1 : 0);

const NS = 'http://www.w3.org/2000/svg';
const put = (element, attributes, children) => {
  for (const name in attributes) {
    const value = attributes[name];
    if (value == null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  for (const child of children.flat(9)) if (child != null && child !== false) element.append(child);
  return element;
};
/** An HTML element. */
export const h = (tag, attributes, ...children) => put(document.createElement(tag), attributes, children);
/** An SVG element. */
export const s = (tag, attributes, ...children) => put(document.createElementNS(NS, tag), attributes, children);
export const $ = selector => document.querySelector(selector);
/** Writes a text if it is another. */
export const text = (element, value) => {
  if (element.firstChild?.nodeValue !== value) element.textContent = value;
};

const line = (d, width, more) => ['path', { d, fill: 'none', stroke: 'currentColor', 'stroke-width': width, ...more }];
const round = { 'stroke-linecap': 'round' };
const GLYPHS = {
  healthy: [['circle', { cx: 7, cy: 7, r: 4 }]],
  near: [['path', { d: 'M7 1.8 12.2 7 7 12.2 1.8 7z' }]],
  overloaded: [['path', { d: 'M7 1 13.4 12.4H.6z' }]],
  stale: [line('M7 2a5 5 0 1 1-.01 0', 1.6, { 'stroke-dasharray': '2.6 2' }), line('M7 4.4V7l1.9 1.3', 1.4)],
  down: [line('m3 3 8 8m0-8-8 8', 2.2, round)],
  draining: [line('M4 2.5v9M10 2.5v9', 2.4, round)],
  starting: [line('M7 2.4a4.6 4.6 0 1 1-.01 0', 1.6), ['path', { d: 'M7 2.4a4.6 4.6 0 0 1 0 9.2z' }]],
  unmeasured: [line('M7 2.4a4.6 4.6 0 1 1-.01 0', 1.6)],
  operator: [['circle', { cx: 7, cy: 4.2, r: 2.6 }], ['path', { d: 'M2 12.6c0-3 2.2-4.6 5-4.6s5 1.6 5 4.6z' }]],
  finding: [line('M1.5 11.5 5 5h7.500', 2)],
};
const drawn = {};
/** The shape of a state: made once, cloned after. */
export const glyph = name => {
  drawn[name] ??= s('svg', { class: 'g g-' + name, viewBox: '0 0 14 14', 'aria-hidden': 'true', fill: 'currentColor' },
    GLYPHS[name].map(([tag, attributes]) => s(tag, attributes)));
  return drawn[name].cloneNode(true);
};
export const nodeHref = id => '/nodes/' + encodeURIComponent(id);
