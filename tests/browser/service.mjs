// Starts and stops the real service for the browser tests, on loopback and on free ports.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
export const output = join(root, 'tests/browser/output');
export const BINARY = process.env.NEARCAST ?? join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'debug/nearcast');

/** A port that is free now, and the one above it too. */
export async function freePair() {
  const listen = port => new Promise((yes, no) => {
    const server = createServer();
    server.once('error', no);
    server.listen(port, '127.0.0.1', () => yes(server));
  });
  for (;;) {
    const one = await listen(0), { port } = one.address();
    const other = port < 65535 && await listen(port + 1).catch(() => null);
    one.close();
    if (!other) continue;
    other.close();
    return port;
  }
}

/** Waits until `holds` gives something, or says what never came. */
export async function until(what, holds, patience = 20000) {
  const end = Date.now() + patience;
  for (;;) {
    const found = await holds();
    if (found) return found;
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await new Promise(yes => setTimeout(yes, 100));
  }
}

export class Service {
  /** The demo's fleet. */
  static async demo(edges, port) {
    return Service.start(['demo', '--edges', String(edges), '--listen', `127.0.0.1:${port}`], port, port + 1);
  }

  /** A configuration of one's own. */
  static async serve(text, port) {
    const folder = mkdtempSync(join(tmpdir(), 'nearcast-browser-'));
    const file = join(folder, 'nearcast.toml');
    writeFileSync(file, text(folder));
    const service = await Service.start(['serve', '--config', file], port, port + 1);
    return Object.assign(service, { folder, file });
  }

  static async start(args, player, admin) {
    const process = spawn(BINARY, args, { env: { ...globalThis.process.env, NO_COLOR: '1' } });
    const service = Object.assign(new Service(), { process, log: '', player: `http://127.0.0.1:${player}`, admin: `http://127.0.0.1:${admin}` });
    for (const stream of [process.stdout, process.stderr]) stream.on('data', data => (service.log += data));
    process.once('exit', code => (service.ended = code ?? -1));
    await until('the service is ready', async () => {
      if (service.ended != null) throw new Error(`the service ended: ${service.log}`);
      return (await fetch(service.admin + '/readyz').catch(() => null))?.ok;
    }, 60000);
    return service;
  }

  async stop() {
    if (this.ended == null) {
      const gone = new Promise(yes => this.process.once('exit', yes));
      this.process.kill('SIGTERM');
      await gone;
    }
    if (this.folder) rmSync(this.folder, { recursive: true, force: true });
  }

  get pid() {
    return this.process.pid;
  }

  json(path) {
    return fetch(this.admin + path, { headers: { accept: 'application/json' } }).then(answer => answer.json());
  }

  async resolve(ip) {
    const answer = await fetch(`${this.player}/resolve?domain=live.example.com&ip=${ip}&detail=1`);
    return answer.json();
  }
}
