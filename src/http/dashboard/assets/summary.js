// The strip of numbers on top: what the server wrote, kept up to date.
import { $, age, fmt, h, percent, t, text } from './dom.js';
import { fleet, isLost, silentFor } from './store.js';

const at = key => $(`#summary [data-k="${key}"]`);
const set = (key, value, unit) => {
  text(at(key).children[0], value);
  if (unit != null) text(at(key).children[1], unit);
};
const box = (key, bad, word = 'is-bad') => at(key).parentElement.classList.toggle(word, bad);
let overKey;

export function draw() {
  const now = fleet.now;
  const count = state => now.states[state] ?? 0;
  set('room', fmt(now.headroom));
  text(at('watching'), t('watching', { n: fmt(now.viewers), p: percent(now.used), b: fmt(now.booked * 100, 1) }));
  const width = share => Math.max(0, Math.min(1000, share * 1000)).toFixed(1);
  $('#summary .used').setAttribute('width', width(now.used));
  $('#summary .booked').setAttribute('x', width(now.used));
  $('#summary .booked').setAttribute('width', width(Math.min(now.booked, 1 - Math.min(1, now.used))));
  set('over', fmt(count('overloaded')), t('of_nodes', { n: fmt(fleet.nodes.length) }));
  box('over', count('overloaded') > 0);
  const hot = [...new Set(fleet.nodes.filter(node => node.state === 'overloaded').map(node => node.pop.id))].sort();
  const key = hot + '/' + count('near');
  if (key !== overKey) {
    overKey = key;
    const pops = hot.slice(0, 2).concat(hot.length > 2 ? '+' + (hot.length - 2) : []).join(', ');
    at('over_sub').replaceChildren(
      hot.length ? h('a', { href: '/nodes?state=overloaded' }, t('in_pops', { pops })) : t('nobody_over'),
      count('near') ? ' · ' : '',
      count('near') ? h('a', { href: '/nodes?state=near' }, t('near_limit', { n: fmt(count('near')) })) : '');
  }
  const degraded = now.degraded_per_s, share = degraded / Math.max(now.answers_per_s, degraded, 0.001);
  set('degraded', fmt(degraded, 1));
  box('degraded', degraded >= 1, 'is-warn');
  const shown = share > 0 && share < 1e-4 ? '<' + fmt(0.01, 2) : fmt(share * 100, 2);
  text(at('degraded_sub'), t('degraded_sub', { p: shown, n: fmt(now.answers_per_s, now.answers_per_s < 100 ? 1 : 0) }));
  set('kappa', fmt(now.kappa, 2));
  const silent = t('silent', { n: fmt(count('down') + count('stale')) });
  const oldest = fleet.nodes[now.oldest];
  text(at('age_sub'), (oldest ? t('oldest', { id: oldest.id, s: fmt(now.oldest_s) }) + ' · ' : '') + silent);
  drawAge();
}

/** The age of the newest sample; it grows while nothing comes. */
export function drawAge() {
  const newest = fleet.now.newest_s;
  set('age', newest == null ? '–' : age(newest + silentFor()));
  box('age', isLost);
}
