// Drives the operators' pages in Chromium against the real service and its demo fleet; `names.mjs` lets it find edges.
//
//   npm ci && node run.mjs          CHROMIUM=/usr/bin/chromium  NEARCAST=target/debug/nearcast  ONLY=part of a name
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { names } from './names.mjs';
import { Service, freePair, output, until } from './service.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TOKEN = 'a-token-of-the-browser-tests';
const PATIENCE = 20000;
const CLIENT = '8.8.8.8';

const tests = [];
const test = (name, run) => tests.push({ name, run });
let browser, demo, port;

/** A page that fails the test on any error in it and on any request to another origin. */
async function open(path, { service = demo, expectErrors = false, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, locale: 'en-US', colorScheme: 'light', ...options });
  const page = await context.newPage();
  const faults = [];
  page.on('console', message => message.type() === 'error' && !expectErrors && faults.push(message.text()));
  page.on('pageerror', error => faults.push(String(error)));
  page.on('request', request => {
    if (!request.url().startsWith(service.admin + '/')) faults.push('asks another origin: ' + request.url());
  });
  page.on('dialog', dialog => {
    faults.push('a dialog: ' + dialog.message());
    dialog.dismiss();
  });
  page.setDefaultTimeout(PATIENCE);
  await page.goto(service.admin + path);
  if (options.javaScriptEnabled !== false && options.wait !== false) await page.waitForSelector('body[data-ready]');
  const close = async () => {
    await context.close();
    assert.deepEqual(faults, []);
  };
  return { page, close };
}

const shot = (page, name, fullPage = false) => page.screenshot({ path: join(output, name + '.png'), fullPage });
const first = page => page.locator('#nodes tbody tr:not(.spacer):not(.none) .id').first();
const ids = page => page.locator('#nodes tbody tr:not(.spacer):not(.none) .id').allTextContents();

async function accessible(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  writeFileSync(join(output, `axe-${name}.json`), JSON.stringify(violations, null, 1));
  const serious = violations.filter(violation => ['serious', 'critical'].includes(violation.impact));
  assert.deepEqual(serious.map(v => `${v.id}: ${v.nodes.map(node => node.html).slice(0, 3).join(' | ')}`), [], name);
  return violations.length;
}

test('the fleet is shown at once and keeps moving without a reload', async () => {
  const { page, close } = await open('/nodes');
  assert.match(await page.locator('#live').textContent(), /^Live/);
  assert.equal(await page.locator('#count').textContent(), '60 of 60');
  await page.evaluate(() => (window.sameDocument = true));
  const clock = await page.locator('#live').textContent(), watching = await page.locator('[data-k=watching]').textContent();
  await until('the clock moves', async () => (await page.locator('#live').textContent()) !== clock);
  await until('the numbers move', async () => (await page.locator('[data-k=watching]').textContent()) !== watching);
  await until('arcs are drawn', async () => (await page.locator('#map .arc').count()) > 5);
  assert.ok(await page.evaluate(() => window.sameDocument));
  await shot(page, 'fleet');
  await close();
});

test('the table sorts, filters, and its URL is the view', async () => {
  const { page, close } = await open('/nodes');
  await page.click('[data-sort=id]');
  await page.mouse.move(5, 5);
  const sorted = await ids(page);
  assert.deepEqual(sorted, [...sorted].sort(new Intl.Collator('en', { numeric: true }).compare));
  await page.click('[data-sort=press]');
  assert.equal(await page.locator('th.c-press').getAttribute('aria-sort'), 'descending');
  const shown = (await page.locator('#nodes .v b').allTextContents()).map(Number).filter(x => !Number.isNaN(x));
  assert.ok(shown.every((x, i) => !i || x <= shown[i - 1] + 0.2), shown.join());
  await page.fill('#filters input[name=q]', 'SHA-');
  await until('only those', async () => (await ids(page)).every(id => id.startsWith('sha-')));
  await page.selectOption('#filters select[name=pop]', 'tokyo');
  await page.waitForSelector('tr.none:not([hidden])');
  const url = page.url();
  assert.match(url, /q=SHA-/);
  assert.match(url, /pop=tokyo/);
  assert.match(url, /sort=press/);
  await close();
  const shared = await open(url.replace(demo.admin, '').replace('pop=tokyo', 'pop=shanghai'));
  assert.ok((await ids(shared.page)).length > 0);
  assert.ok((await ids(shared.page)).every(id => id.startsWith('sha-')));
  await shared.page.keyboard.press('/');
  assert.equal(await shared.page.evaluate(() => document.activeElement.name), 'q');
  await shared.close();
});

test('an overload shows where and why, and is told when it is over', async () => {
  const edge = (await demo.json('/nodes')).nodes.find(node => node.id === 'fra-1');
  const load = share => fetch(new URL('/load?cpu=' + share, edge.targets[0].url), { method: 'POST' });
  const { page, close } = await open('/nodes');
  await load(0.95);
  await page.waitForSelector('.ev.is-overload:has-text("fra-1")');
  await page.waitForSelector('#nodes tr.is-overloaded:has-text("fra-1")');
  assert.match(await page.locator('#nodes tr.is-overloaded').first().textContent(), /System CPU at [89]\d %; the limit is 80 %/);
  assert.match(await page.locator('[data-k=over_sub]').textContent(), /frankfurt/);
  await page.waitForTimeout(1500);
  await shot(page, 'fleet-overloaded');
  await page.locator('#map .pop[aria-label^="frankfurt"]').first().focus();
  await page.waitForSelector('#map .tip:not([hidden])');
  await shot(page, 'map-focus');
  await load(0);
  await page.waitForSelector('.ev:has-text("fra-1 was overloaded for")');
  await close();
});

test('an answer is explained: map, score taken apart, shareable', async () => {
  const { page, close } = await open('/explain');
  await page.fill('[name=ip]', CLIENT);
  await page.fill('[name=stream]', 'live/final');
  await page.click('.ask button');
  await page.waitForSelector('body[data-ready]');
  const winner = (await demo.json(`/explain?domain=live.example.com&ip=${CLIENT}&stream=live/final`)).candidates;
  const shownFirst = await page.locator('.cand-row .mono').first().textContent();
  assert.ok(winner.slice(0, 3).some(candidate => candidate.id === shownFirst), shownFirst);
  assert.match(await page.locator('.verdict').textContent(), /answers this client\. It is [\d,]+ km away/);
  await page.waitForSelector('#map .arc.cand.pick');
  assert.equal(await page.locator('#map .badge').count() > 0, true);
  await page.waitForTimeout(500);
  await shot(page, 'explain', true);
  assert.match(page.url(), /ip=8\.8\.8\.8&domain=live\.example\.com&stream=live%2Ffinal/);
  await close();
});

test('a drained node is answered no more, and again when it is undrained', async () => {
  const { winner } = await demo.json(`/explain?domain=live.example.com&ip=${CLIENT}`);
  const { page, close } = await open('/nodes/' + winner);
  const fleet = await open('/nodes');
  await page.waitForSelector('#preview .verdict-line');
  await shot(page, 'node', true);
  await page.fill('[name=reason]', 'kernel <b>update</b>');
  await page.click('#drain form button');
  await page.waitForSelector('h1:has-text("Draining")');
  for (let i = 0; i < 40; i++) {
    const { nodes } = await demo.resolve(CLIENT);
    assert.ok(nodes.every(node => node.id !== winner), `${winner} was answered while draining`);
  }
  await fleet.page.waitForSelector(`.ev:has-text("${winner} drained until")`);
  await fleet.page.waitForSelector(`#nodes tr:has-text("kernel <b>update</b>")`);
  await fleet.close();
  await shot(page, 'node-draining', true);
  await page.click('#drain form button');
  await page.waitForSelector('#preview');
  await until('it is answered again', async () => (await demo.resolve(CLIENT)).nodes.some(node => node.id === winner));
  await close();
});

test('without JavaScript the table, filters, paging and drain forms work', async () => {
  const { page, close } = await open('/nodes?q=par-', { javaScriptEnabled: false });
  assert.ok((await page.content()).includes('par-1'));
  assert.equal(await page.locator('#nodes tbody tr').count(), (await demo.json('/nodes?q=par-')).nodes.length);
  await page.click('[data-sort=press]');
  assert.match(page.url(), /q=par-&sort=press/);
  await page.fill('#filters input[name=q]', 'nobody');
  await page.click('#apply');
  assert.match(await page.locator('#nodes tbody').textContent(), /No node matches/);
  await page.goto(demo.admin + '/nodes/par-1');
  await page.fill('[name=reason]', 'no script');
  await page.selectOption('[name=ttl_s]', '');
  await page.click('#drain form button');
  assert.match(await page.locator('h1').textContent(), /Draining/);
  assert.equal((await demo.json('/nodes/par-1')).drain.reason, 'no script');
  await page.click('#drain form button');
  assert.equal((await demo.json('/nodes/par-1')).drain, null);
  await page.goto(demo.admin + '/nodes');
  await shot(page, 'fleet-no-script');
  await close();
});

test('events are filtered', async () => {
  const { page, close } = await open('/nodes');
  await page.click('[data-kind=operator]');
  await until('only those', async () => {
    const classes = await page.locator('#events li').evaluateAll(all => all.map(li => li.className));
    return classes.length && classes.every(name => name === 'ev is-operator');
  });
  assert.match(page.url(), /event=operator/);
  await close();
});

test('no page has a serious accessibility fault, and one can get about with the keyboard', async () => {
  let faults = 0;
  for (const [path, name, options] of [
    ['/nodes', 'fleet', {}], ['/nodes', 'fleet-dark', { colorScheme: 'dark' }], ['/nodes', 'fleet-phone', { viewport: { width: 390, height: 844 } }],
    ['/nodes?q=nobody', 'none', {}], ['/nodes/lon-1', 'node', {}], ['/nodes/lon-1', 'node-dark', { colorScheme: 'dark' }],
    [`/explain?domain=live.example.com&ip=${CLIENT}`, 'explain', {}], ['/explain', 'explain-empty', {}],
  ]) {
    const { page, close } = await open(path, options);
    faults += await accessible(page, name);
    await close();
  }
  console.log(`      axe: ${faults} faults of any weight in 8 pages`);
  const { page, close } = await open('/nodes');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
  await page.locator('#map .pop[tabindex="0"]').focus();
  const before = await page.evaluate(() => document.activeElement.getAttribute('aria-label'));
  await page.keyboard.press('ArrowLeft');
  assert.notEqual(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), before);
  await page.keyboard.press('Enter');
  assert.match(page.url(), /pop=/);
  await close();
});

test('phone, dark and Chinese', async () => {
  const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 };
  for (const [path, name, options, full] of [
    ['/nodes', 'fleet-dark', { colorScheme: 'dark' }], ['/nodes', 'fleet-chinese', { locale: 'zh-CN' }],
    ['/nodes', 'fleet-phone', phone, true], ['/nodes', 'fleet-phone-dark-chinese', { ...phone, colorScheme: 'dark', locale: 'zh-CN' }],
    ['/nodes?region=asia', 'asia', {}], ['/nodes/sha-1', 'node-phone', phone, true], ['/nodes/sha-1', 'node-chinese-dark', { locale: 'zh-CN', colorScheme: 'dark' }, true],
    [`/explain?domain=live.example.com&ip=${CLIENT}`, 'explain-phone', phone, true], [`/explain?domain=live.example.com&ip=114.114.114.114&stream=live/1`, 'explain-chinese', { locale: 'zh-CN' }, true],
  ]) {
    const { page, close } = await open(path, options);
    await page.waitForTimeout(800);
    await shot(page, name, full);
    for (const width of [320, 390, 768, 1024, 1280]) {
      await page.setViewportSize({ width, height: 900 });
      await page.waitForTimeout(60);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(over <= 0, `${name} is ${over} px too wide at ${width}`);
    }
    await close();
  }
  const { page, close } = await open('/nodes');
  await page.click('a[lang="zh-CN"]');
  await page.waitForSelector('html[lang="zh-CN"]');
  await page.waitForSelector('body[data-ready]');
  await page.click('#theme');
  await page.reload();
  assert.equal(await page.getAttribute('html', 'data-theme'), 'dark');
  await close();
});

test('hostile text in the address is inert', async () => {
  const evil = encodeURIComponent('<img src=x onerror=alert(1)><script>alert(2)</script>');
  for (const path of [`/nodes?q=${evil}&pop=${evil}&state=${evil}`, `/explain?domain=live.example.com&ip=${evil}`, `/nodes/${evil}`]) {
    const { page, close } = await open(path, { expectErrors: true });
    assert.equal(await page.locator('main img, main script:not([type])').count(), 0);
    await close();
  }
});

test('a restart is survived: the page says so, and goes on by itself', async () => {
  const { page, close } = await open('/nodes', { expectErrors: true });
  await page.evaluate(() => (window.sameDocument = true));
  await demo.stop();
  await page.waitForSelector('body.is-lost');
  assert.match(await page.locator('#lost-text').textContent(), /Connection lost\. You are looking at \d\d:\d\d:\d\d UTC/);
  assert.match(await page.title(), /^✕/);
  await shot(page, 'connection-lost');
  const seconds = await page.locator('#lost-for').textContent();
  await until('the age counts on', async () => (await page.locator('#lost-for').textContent()) !== seconds);
  demo = await Service.demo(60, port);
  await page.waitForSelector('body:not(.is-lost)', { timeout: 30000 });
  const clock = await page.locator('#live').textContent();
  await until('the clock moves', async () => (await page.locator('#live').textContent()) !== clock);
  assert.ok(await page.evaluate(() => window.sameDocument));
  await close();
});

test('with a token configured one logs in, works, and logs out', async () => {
  const own = await freePair();
  const service = await Service.serve(folder => {
    writeFileSync(join(folder, 'token'), TOKEN);
    return `[server]\nlisten = "127.0.0.1:${own}"\nadmin_listen = "127.0.0.1:${own + 1}"\nadmin_token_file = "${folder}/token"\n
[[pools]]\nname = "edges"\n[[domains]]\nname = "live.example.com"\npool = "edges"\n
[[nodes]]\nid = "sh-1"\npool = "edges"\npop = "shanghai"\naddresses = ["203.0.113.10"]\nlocation = { latitude = 31.2, longitude = 121.5 }\n`;
  }, own);
  try {
    const { page, close } = await open('/nodes/sh-1', { service, wait: false, expectErrors: true, javaScriptEnabled: true });
    await shot(page, 'login');
    await accessible(page, 'login');
    await page.fill('[name=token]', 'not the token');
    await page.click('.login button');
    await page.waitForSelector('[role=alert]:has-text("not the token")');
    await page.fill('[name=token]', TOKEN);
    await page.click('.login button');
    await page.waitForSelector('h1:has-text("sh-1")');
    const [cookie] = (await page.context().cookies()).filter(cookie => cookie.name === 'nearcast_session');
    assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, 'Strict']);
    assert.ok(!cookie.value.includes(TOKEN));
    await page.fill('[name=reason]', 'with a session');
    await page.click('#drain form button');
    await page.waitForSelector('h1:has-text("Draining")');
    await page.click('text=Log out');
    await page.waitForSelector('[name=token]');
    assert.equal((await page.goto(service.admin + '/nodes')).status(), 401);
    await close();
  } finally {
    await service.stop();
  }
});

names(test);

rmSync(output, { recursive: true, force: true });
mkdirSync(output, { recursive: true });
port = await freePair();
demo = await Service.demo(60, port);
browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
let failed = 0;
for (const { name, run } of tests.filter(({ name }) => name.includes(process.env.ONLY ?? ''))) {
  const began = Date.now();
  try {
    await run();
    console.log(`ok    ${((Date.now() - began) / 1000).toFixed(1)} s  ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAIL  ${((Date.now() - began) / 1000).toFixed(1)} s  ${name}\n${error.stack}`);
    for (const context of browser.contexts()) await context.close();
  }
}
await browser.close();
await demo.stop();
console.log(failed ? `${failed} failed` : `all passed; screenshots in ${output}`);
process.exit(failed ? 1 : 0);
