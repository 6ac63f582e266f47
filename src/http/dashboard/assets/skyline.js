// The skyline: every node in one strip, PoPs west to east, height = pressure. The same at 12 nodes and at 10,000.
import { $, band, fmt, h, t } from './dom.js';
import { fleet } from './store.js';

const GAP = 4;
const NAMES = ['--p0', '--p1', '--p2', '--p3', '--p4', '--ink', '--ask', '--ink-3'];
const INK = 5, ASK = 6, PALE = 7;

export function skyline() {
  const root = $('#skyline');
  const canvas = h('canvas', { role: 'img' });
  const probe = h('i', { hidden: true });
  root.append(canvas, probe);
  root.hidden = false;
  let colours, order, lit = new Set(), label = '';

  const read = () => {
    colours = NAMES.map(name => {
      probe.style.color = `var(${name})`;
      return getComputedStyle(probe).color;
    });
  };
  const arrange = () => {
    const pops = [...fleet.pops].sort((a, b) => (a.longitude ?? 999) - (b.longitude ?? 999));
    order = pops.filter(pop => pop.nodes.length).flatMap(pop => [...pop.nodes, null]);
    order.pop();
  };

  function draw() {
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width || !fleet.nodes.length) return;
    if (!colours) read();
    if (!order) arrange();
    const scale = Math.min(2, devicePixelRatio || 1);
    if (canvas.width !== Math.round(width * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    const c = canvas.getContext('2d');
    c.setTransform(scale, 0, 0, scale, 0, 0);
    c.clearRect(0, 0, width, height);
    const base = height - 1;
    const y = pressure => base - (Math.min(1.2, pressure) / 1.2) * (height - 4);
    (order.length > width * 0.8 ? drawColumns : drawBars)(c, width, base, y);
    c.strokeStyle = colours[INK];
    c.lineWidth = 1;
    c.setLineDash([4, 3]);
    c.beginPath();
    c.moveTo(0, Math.round(y(1)) + 0.5);
    c.lineTo(width, Math.round(y(1)) + 0.5);
    c.stroke();
    c.setLineDash([]);
    const over = fleet.nodes.reduce((sum, node) => sum + (node.pressure >= 1), 0);
    const now = `${t('skyline')}: ${fmt(fleet.nodes.length)} ${t('nodes')}, ${fmt(over)} ≥ 1.0`;
    if (now !== label) canvas.setAttribute('aria-label', (label = now));
  }

  /** More nodes than pixels: a column shows its highest node, and its mean in front. */
  function drawColumns(c, width, base, y) {
    const columns = Math.floor(width), total = fleet.nodes.length;
    const high = new Float32Array(columns), sum = new Float32Array(columns), count = new Uint16Array(columns);
    let place = 0;
    for (const node of order) {
      if (!node) continue;
      const x = Math.min(columns - 1, Math.floor((place++ / total) * columns)), pressure = node.pressure ?? 0;
      if (pressure > high[x]) high[x] = pressure;
      sum[x] += pressure;
      count[x]++;
    }
    for (let b = 0; b < 5; b++) {
      c.fillStyle = colours[b];
      c.globalAlpha = b > 2 ? 1 : 0.45;
      for (let x = 0; x < columns; x++) if (count[x] && band(high[x]) === b) c.fillRect(x, y(high[x]), 1, base - y(high[x]));
      c.globalAlpha = 1;
      for (let x = 0; x < columns; x++) {
        const mean = sum[x] / count[x];
        if (count[x] && band(mean) === b) c.fillRect(x, y(mean), 1, base - y(mean));
      }
    }
  }

  function drawBars(c, width, base, y) {
    const gaps = order.filter(node => !node).length;
    const bar = (width - GAP * gaps) / fleet.nodes.length;
    let x = 0;
    for (const node of order) {
      if (!node) {
        x += GAP;
        continue;
      }
      const top = y(node.pressure ?? 0.5), thick = Math.max(1, bar - 1);
      if (lit.has(node.pop)) {
        c.fillStyle = colours[ASK];
        c.fillRect(x, base - 1, bar, 2);
      }
      if (node.pressure == null) {
        c.strokeStyle = colours[PALE];
        c.setLineDash([2, 2]);
        c.strokeRect(x + 0.5, top, Math.max(1, thick - 1), base - top);
        c.setLineDash([]);
      } else {
        c.fillStyle = colours[band(node.pressure)];
        c.globalAlpha = node.state === 'stale' || node.state === 'draining' ? 0.4 : 1;
        c.fillRect(x, top, thick, base - top);
        c.globalAlpha = 1;
      }
      x += bar;
    }
  }

  const recolour = () => {
    colours = null;
    draw();
  };
  new ResizeObserver(draw).observe(canvas);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', recolour);
  return {
    draw,
    recolour,
    renew: () => {
      order = null;
      draw();
    },
    light: pops => {
      lit = new Set(pops);
      draw();
    },
  };
}
