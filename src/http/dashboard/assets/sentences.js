// Causes and events in words: the same sentences as `sentences.rs` makes, from the same texts.
import { fmt, h, lasting, nodeHref, percent, rate, t, until } from './dom.js';

/** Why a node is in its state. */
export function why(node, now) {
  const w = node.why;
  if (!w) return '';
  const error = w.error != null ? t('e_' + w.error) : '';
  const resource = w.resource ? t('r_' + w.resource) : '';
  switch (w.code) {
    case 'egress':
      return t('why_egress', { mbps: rate(w.mbps), booked_mbps: rate(w.booked_mbps), limit_mbps: rate(w.limit_mbps) });
    case 'over': {
      const shown = w.resource === 'udp_drops' ? fmt : percent;
      return t('why_over_' + w.resource, { load: shown(w.load), limit: shown(w.limit) });
    }
    case 'uplink': return t('why_uplink', { pressure: fmt(w.pressure, 2) });
    case 'booked': return t('why_booked', { mbps: rate(w.mbps), resource });
    case 'near': return t('why_near', { viewers: fmt(w.viewers), resource });
    case 'stale': case 'failing': return t('why_' + w.code, { target: w.target, error });
    case 'down': return t('why_down', { target: w.target, error, failed: fmt(w.failed) });
    case 'drain': {
      const reason = w.reason ?? t('no_reason');
      if (w.until_unix_s == null) return t('why_drain_open', { reason });
      return t('why_drain', { until: until(w.until_unix_s * 1000, now), reason });
    }
    case 'capped': return t('why_capped', { mbps: rate(w.mbps), capacity_mbps: rate(w.capacity_mbps) });
    default: return t('why_' + w.code);
  }
}

/** What happened, as the children of an element: the node's name is a link. */
export function told(event, now) {
  const over = event.for_s != null;
  const values = { ...event, id: '\u0001', for: over ? lasting(event.for_s) : '' };
  let key = 'ev_' + event.what + (over ? '_was' : '');
  for (const name of ['nodes', 'answers', 'added', 'removed', 'stale']) if (values[name] != null) values[name] = fmt(values[name]);
  for (const name of ['peak', 'kappa']) if (values[name] != null) values[name] = fmt(values[name], 2);
  if (event.resource) values.resource = t('r_' + event.resource);
  if (event.error != null) values.error = t('e_' + event.error);
  if (event.what === 'many') values.state = t('st_' + event.state);
  if (event.target) values.target = event.target.replace(/^\w+:\/\//, '').split('/')[0];
  if (event.mbps != null) Object.assign(values, { rate: rate(event.mbps), capacity: rate(event.capacity_mbps) });
  if (event.what === 'drained') {
    values.reason = event.reason ?? t('no_reason');
    if (event.until_unix_ms != null) values.until = until(event.until_unix_ms, now);
    else if (!over) key = 'ev_drained_open';
  }
  const [before, after] = t(key, values).split('\u0001');
  if (after == null) return [before];
  return [before, h('a', { class: 'mono', href: nodeHref(event.node) }, event.node), after];
}

/** The shape of an event: that of the state it tells of; what is over is hollow. */
export function shape(event) {
  if (event.for_s != null && ['overload', 'scrape', 'answers'].includes(event.kind)) return 'starting';
  if (event.kind === 'scrape') return event.what === 'stale' ? 'stale' : 'down';
  return { overload: 'overloaded', answers: 'near', operator: 'operator', finding: 'finding' }[event.kind];
}
