// Chromium with DNS over HTTPS set to the real service, which it trusts by a certificate in its own store: it finds its
// edge by us and loads the page from there.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { Service, freePair, until } from './service.mjs';

const run = (program, debian, ...args) => {
  try {
    return execFileSync(program, args, { stdio: 'pipe' });
  } catch (error) {
    if (error.code === 'ENOENT') throw new Error(`${program} is missing; install it: apt-get install -y ${debian}`);
    throw error;
  }
};

/** Two edges on addresses of their own, one port for both; each says on its page who it is. */
async function edges(secure) {
  const serve = (id, host, port) => new Promise((yes, no) => {
    const answer = (_, reply) => reply.setHeader('content-type', 'text/html').end(`<title>${id}</title>`);
    const server = secure ? https.createServer(secure, answer) : http.createServer(answer);
    server.once('error', no);
    server.listen(port, host, () => yes(server));
  });
  const far = await serve('far', '127.0.1.1', 0), { port } = far.address();
  const near = await serve('near', '127.0.1.2', port);
  return { port, close: () => [far, near].forEach(server => (server.close(), server.closeAllConnections())) };
}

/** The service and its edges, which speak HTTP or HTTPS. */
async function stage(scheme, play) {
  const folder = mkdtempSync(join(tmpdir(), 'nearcast-names-'));
  const [key, cert] = ['a.key', 'a.crt'].map(name => join(folder, name));
  run('openssl', 'openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '7',
    '-subj', '/CN=nearcast', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:live.example.com', '-keyout', key, '-out', cert);
  const { port, close } = await edges(scheme === 'https' && { key: readFileSync(key), cert: readFileSync(cert) });
  const own = await freePair(), secure = await freePair();
  const service = await Service.serve(() => `
[server]\nlisten = "127.0.0.1:${own}"\nadmin_listen = "127.0.0.1:${own + 1}"
[server.tls]\nlisten = "127.0.0.1:${secure}"\ncertificate = "${cert}"\nkey = "${key}"
[dns]\nlisten = "127.0.0.1:0"
[[dns.zones]]\napex = "example.com"\nns = ["ns1.example.net"]
[[geoip.overrides]]\nnetwork = "127.0.0.0/8"\nlocation = { latitude = 35, longitude = 139 }
[[pools]]\nname = "edges"
[[domains]]\nname = "live.example.com"\npool = "edges"\npolicy = "nearest"
[[nodes]]\nid = "far"\npool = "edges"\naddresses = ["127.0.1.1"]\nlocation = { latitude = 51.5, longitude = 0 }\nmedia = { ${scheme} = ${port} }
[[nodes]]\nid = "near"\npool = "edges"\naddresses = ["127.0.1.2"]\nlocation = { latitude = 35.7, longitude = 139.7 }\nmedia = { ${scheme} = ${port} }
`, own);
  try {
    await play({ service, port, cert, door: `https://127.0.0.1:${secure}/dns-query` });
  } finally {
    close();
    await service.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What becomes of a URL in a Chromium of its own that asks nobody but `door` for names. */
async function visit(url, door, trusted) {
  const home = mkdtempSync(join(tmpdir(), 'nearcast-home-'));
  const profile = join(home, 'profile'), store = join(home, '.pki/nssdb');
  mkdirSync(profile);
  mkdirSync(store, { recursive: true });
  writeFileSync(join(profile, 'Local State'), JSON.stringify({ dns_over_https: { mode: 'secure', templates: door } }));
  run('certutil', 'libnss3-tools', '-N', '-d', `sql:${store}`, '--empty-password');
  if (trusted) run('certutil', 'libnss3-tools', '-A', '-d', `sql:${store}`, '-n', 'nearcast', '-t', 'C,,', '-i', trusted);
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  const context = await chromium.launchPersistentContext(profile, { executablePath, args: ['--no-sandbox'], env: { ...process.env, HOME: home } });
  try {
    const page = await context.newPage();
    const reply = await page.goto(url);
    return { title: await page.title(), url: page.url(), from: (await reply.serverAddr()).ipAddress };
  } finally {
    await context.close();
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** How many names were told by DNS over HTTPS. */
async function told(service) {
  const metrics = await (await fetch(service.admin + '/metrics')).text();
  return Number(/^nearcast_dns_replies_total\{transport="https",rcode="noerror"\} (\d+)$/m.exec(metrics)[1]);
}

export function names(test) {
  test('Chromium asks by DNS over HTTPS and loads the page from the edge that was chosen', () => stage('http', async ({ service, port, cert, door }) => {
    const url = `http://live.example.com:${port}/live/show.html`;
    await assert.rejects(visit(url, door), /ERR_NAME_NOT_RESOLVED/, 'somebody else told the name');
    assert.equal(await told(service), 0, 'a certificate that is not trusted was taken');
    assert.deepEqual(await visit(url, door, cert), { title: 'near', url, from: '127.0.1.2' });
    assert.ok(await told(service) > 0);
    await fetch(service.admin + '/nodes/near/drain', { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } });
    await until('the node is drained', async () => (await service.resolve('127.0.0.1')).ips[0] === '127.0.1.1');
    assert.deepEqual(await visit(url, door, cert), { title: 'far', url, from: '127.0.1.1' });
  }));

  test('an HTTPS record takes Chromium from http:// to https:// without a step between', () => stage('https', async ({ port, cert, door }) => {
    // Nothing at that port speaks HTTP without TLS.
    const url = `live.example.com:${port}/live/show.html`;
    assert.deepEqual(await visit(`http://${url}`, door, cert), { title: 'near', url: `https://${url}`, from: '127.0.1.2' });
  }));
}
