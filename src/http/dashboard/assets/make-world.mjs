#!/usr/bin/env node
// Makes world.svg: the land of the earth as one compact SVG path, in the Natural Earth projection.
//
//   npm pack world-atlas            (land-50m.json; data: Natural Earth, public domain; package: ISC)
//   node make-world.mjs land-50m.json world.svg [max_bytes=60000]
//
// Land only, no borders between states: a scheduler has no opinion about borders.
// The page projects PoPs with the same numbers (`data-*` on the <svg>), so map and markers cannot drift apart.
import { readFileSync, writeFileSync } from 'node:fs';

const [input, output, maxBytes = '60000'] = process.argv.slice(2);
if (!input || !output) { console.error('usage: make-world.mjs LAND.json OUT.svg [MAX_BYTES]'); process.exit(2); }

const CENTRE = 11;              // degrees east; the seam at 169° W crosses only sea (Bering Strait)
const SOUTH = -57, NORTH = 84;  // no Antarctica: nobody streams to it from an edge
const WIDTH = 2000;             // user units; integer coordinates are ~20 km apart

const rad = Math.PI / 180;
function project(lon, lat) {     // Natural Earth I (Patterson; polynomial by Šavrič et al.)
  const l = lon * rad, p = lat * rad, p2 = p * p, p4 = p2 * p2;
  return [l * (0.8707 - 0.131979 * p2 + p4 * (-0.013791 + p4 * (0.003971 * p2 - 0.001529 * p4))),
          p * (1.007226 + p2 * (0.015085 + p4 * (-0.044475 + 0.028874 * p2 - 0.005916 * p4)))];
}
const K = WIDTH / (2 * project(180, 0)[0]);
const TOP = project(0, NORTH)[1];
const HEIGHT = Math.ceil((TOP - project(0, SOUTH)[1]) * K);
const toXY = ([lon, lat]) => { const [x, y] = project(lon - CENTRE, lat); return [x * K + WIDTH / 2, (TOP - y) * K]; };

// --- TopoJSON: delta-coded integer arcs -> rings of [lon, lat]
const topo = JSON.parse(readFileSync(input, 'utf8'));
const { scale: [sx, sy], translate: [tx, ty] } = topo.transform;
const arcs = topo.arcs.map(a => { let x = 0, y = 0; return a.map(([dx, dy]) => [(x += dx) * sx + tx, (y += dy) * sy + ty]); });
const ring = ids => ids.flatMap((i, n) => { const a = i < 0 ? [...arcs[~i]].reverse() : arcs[i]; return n ? a.slice(1) : a; });
const geometries = topo.objects.land.geometries ?? [topo.objects.land];
const rings = geometries.flatMap(g => (g.type === 'Polygon' ? [g.arcs] : g.arcs).flat().map(ring));

// --- Rings that cross 180° are unwrapped, then moved whole to our side of the seam; rings south of the frame are dropped
const shifted = rings.map(r => {
  let turn = 0;
  const open = r.map(([lo, la], i) => { if (i) { const d = lo - r[i - 1][0]; if (d > 180) turn -= 360; else if (d < -180) turn += 360; } return [lo + turn, la]; });
  const mean = open.reduce((s, p) => s + p[0], 0) / open.length;
  const move = mean < CENTRE - 180 ? 360 : mean > CENTRE + 180 ? -360 : 0;
  return open.map(([lo, la]) => [lo + move, la]);
}).filter(r => Math.max(...r.map(p => p[1])) > SOUTH + 1.5)
  .map(r => r.map(([lo, la]) => [Math.min(Math.max(lo, CENTRE - 180), CENTRE + 180), Math.max(la, SOUTH)]));

// --- Visvalingam: drop the point whose triangle is smallest until all are larger than `min`
const area2 = (a, b, c) => Math.abs((b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1]));
function simplify(points, min) {
  const p = points.map(([x, y]) => [x, y]);
  while (p.length > 4) {
    let at = -1, least = min;
    for (let i = 1; i < p.length - 1; i++) { const a = area2(p[i - 1], p[i], p[i + 1]); if (a < least) { least = a; at = i; } }
    if (at < 0) break;
    p.splice(at, 1);
  }
  return p;
}
const ringArea = r => Math.abs(r.reduce((s, p, i) => { const q = r[(i + 1) % r.length]; return s + p[0] * q[1] - q[0] * p[1]; }, 0) / 2);

function path(min) {
  let d = '';
  for (const r of shifted) {
    const xy = r.map(toXY);
    if (ringArea(xy) < min * 2) continue;
    const s = simplify(xy, min).map(([x, y]) => [Math.round(x), Math.round(y)]).filter((p, i, a) => !i || p[0] !== a[i - 1][0] || p[1] !== a[i - 1][1]);
    if (s.length < 4) continue;
    d += `M${s[0][0]} ${s[0][1]}l`;
    let line = '';
    for (let i = 1; i < s.length - 1; i++) {
      for (const n of [s[i][0] - s[i - 1][0], s[i][1] - s[i - 1][1]]) line += (line && n >= 0 ? ' ' : '') + n;
    }
    d += line + 'z';
  }
  return d;
}

let min = 1, d;
for (;; min *= 1.25) { d = path(min); if (d.length + 500 <= Number(maxBytes)) break; }
writeFileSync(output, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" data-projection="natural-earth-1" data-centre="${CENTRE}" data-k="${K.toFixed(4)}" data-top="${TOP.toFixed(6)}">`
  + `<title>World land outline. Made with Natural Earth (public domain).</title><path id="land" vector-effect="non-scaling-stroke" d="${d}"/></svg>\n`);
console.log(`${output}: ${d.length} bytes of path, ${shifted.length} rings read, smallest triangle ${(min / 2).toFixed(2)} units², ${WIDTH}x${HEIGHT}`);
