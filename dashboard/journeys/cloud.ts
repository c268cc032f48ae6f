/** A real cloud of its own: its own home, its own port, started and stopped with `aerekos` as people do it. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
// Far more than it takes: a machine that runs other tests too is slow.
const UP_MS = 180_000;

export const PASSWORD = 'journeys-only-password';

interface Asking {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

interface Answered {
  code: number;
  text: string;
}

export class Cloud {
  readonly home = mkdtempSync(join(tmpdir(), 'aerekos-journey-'));

  private readonly aerekos: string;
  readonly port: number;

  private constructor(aerekos: string, port: number) {
    this.aerekos = aerekos;
    this.port = port;
  }

  static async start(aerekos: string): Promise<Cloud> {
    const cloud = new Cloud(aerekos, await freePort());
    try {
      await cloud.up();
    } catch (error) {
      await cloud.end(); // it may go on starting
      throw error;
    }
    return cloud;
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  async up(): Promise<void> {
    await this.tell('up', '--timeout', String(UP_MS / 1000 - 10));
  }

  async tell(...words: string[]): Promise<string> {
    const env = {
      ...process.env,
      AEREKOS_HOME: this.home,
      AEREKOS_PORT: String(this.port),
      AEREKOS_ADMIN_PASSWORD: PASSWORD,
      AEREKOS_RUNTIME: 'process',
      XDG_CONFIG_HOME: join(this.home, 'config'),
    };
    const { stdout } = await run(this.aerekos, words, { env, timeout: UP_MS });
    return stdout;
  }

  /** `aerekos apply` of one resource of ours. */
  async apply({ kind, name, spec }: { kind: string; name: string; spec: object }): Promise<void> {
    const file = join(this.home, `${name}.json`);
    writeFileSync(file, JSON.stringify({ apiVersion: 'aerekos.cloud/v1', kind, metadata: { name }, spec }));
    await this.tell('apply', '-f', file);
  }

  /** The HTTP code that this user gets there; asked by the cloud's own admin in their name. */
  async askedBy(user: string, path: string): Promise<number> {
    return (await this.asked(path, { headers: { 'impersonate-user': user } })).code;
  }

  /** Asked by the cloud's own admin, with their certificate. */
  asked(path: string, { method = 'GET', headers = {}, body = '' }: Asking = {}): Promise<Answered> {
    const [key, cert, ca] = ['admin.key', 'admin.crt', 'ca.crt'].map((each) =>
      readFileSync(join(this.home, 'tls', each)),
    );
    return new Promise((resolve, reject) => {
      const asked = request(`${this.url}${path}`, { key, cert, ca, headers, method }, (answer) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (part: string) => (text += part));
        answer.on('end', () => resolve({ code: answer.statusCode ?? 0, text }));
      });
      asked.on('error', reject);
      asked.end(body);
    });
  }

  /** As a crash: nothing is told, nothing is cleaned up. */
  killConductor(): void {
    process.kill(this.conductorPid(), 'SIGKILL');
  }

  private conductorPid(): number {
    return JSON.parse(readFileSync(join(this.home, 'run', 'conductor.json'), 'utf8')).pid;
  }

  /** Kills the process of that copy, which this cloud started. */
  /** Kills it, and the process that follows at once, which nobody would see: the next one waits a second. */
  async killInstance(name: string): Promise<void> {
    const first = this.pidOf(name);
    process.kill(first, 'SIGKILL');
    while (this.pidOf(name) === first) await new Promise((go) => setTimeout(go, 20));
    process.kill(this.pidOf(name), 'SIGKILL');
  }

  private pidOf(name: string): number {
    const folder = join(this.home, 'run', 'instances');
    const file = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find(
      (each) => each.includes(name) && each.endsWith('.json'),
    );
    return Number(JSON.parse(readFileSync(join(folder, file!), 'utf8')).pid);
  }

  async end(): Promise<void> {
    await this.tell('down').catch(() => undefined);
    rmSync(this.home, { recursive: true, force: true });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
