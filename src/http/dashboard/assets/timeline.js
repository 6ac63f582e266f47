// Events: what the server wrote, and what happens since. An event that is told again replaces its line.
import { $, glyph, h, t, time } from './dom.js';
import { shape, told } from './sentences.js';
import { fleet, on } from './store.js';

const MOST = 120;

export function timeline() {
  const root = $('#events'), list = root.querySelector('ol');
  const chips = [...root.querySelectorAll('[data-kind]')];
  let kind = new URLSearchParams(location.search).get('event') ?? '';

  const row = event => h('li', { class: 'ev is-' + event.kind, 'data-id': event.id },
    h('time', { datetime: new Date(event.at_unix_ms).toISOString() }, time(event.at_unix_ms)),
    glyph(shape(event)), h('span', { class: 'text' }, told(event, fleet.now.at_unix_ms ?? Date.now())));

  function add(events) {
    for (const event of events) {
      if (kind && event.kind !== kind) continue;
      const before = list.querySelector(`[data-id="${event.id}"]`);
      if (before) before.replaceWith(row(event));
      else {
        list.querySelector('.nothing')?.remove();
        list.prepend(row(event));
      }
    }
    while (list.children.length > MOST) list.lastChild.remove();
  }

  async function reload() {
    try {
      const response = await fetch('/events?limit=100' + (kind ? '&kind=' + kind : ''), { headers: { accept: 'application/json' } });
      const { events } = await response.json();
      list.replaceChildren(...events.map(row));
      if (!events.length) list.append(h('li', { class: 'nothing' }, t('quiet')));
    } catch {
      // The connection is gone; the page says so already.
    }
  }

  for (const chip of chips) chip.addEventListener('click', click => {
    click.preventDefault();
    kind = chip.dataset.kind;
    for (const other of chips) {
      other.classList.toggle('is-on', other === chip);
      other === chip ? other.setAttribute('aria-current', 'true') : other.removeAttribute('aria-current');
    }
    const query = new URLSearchParams(location.search);
    kind ? query.set('event', kind) : query.delete('event');
    history.replaceState(null, '', query.size ? '?' + query : location.pathname);
    reload();
  });
  on('happened', add);
  on('whole', reload);
}
