/** A join token: made here, its secret seen only here; the cloud keeps the hash. Same form as `aerekos token create`. */
import { ask, raw } from './api';
import { create } from './actions';
import { workerHealth } from './health';
import { JOIN_TOKENS, type Resource, type Worker } from './resources';

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';

/** 32 letters: a byte's five lower bits choose one, each as likely as the others. */
function randomWord(length: number): string {
  return [...crypto.getRandomValues(new Uint8Array(length))].map((byte) => ALPHABET[byte & 31]).join('');
}

function hex(buffer: ArrayBuffer): string {
  return [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function sha256(data: BufferSource): Promise<string> {
  return hex(await crypto.subtle.digest('SHA-256', data));
}

/** SHA-256 of the CA certificate's DER form: what the new machine pins. */
async function fingerprint(): Promise<string> {
  const pem = await (await raw('/auth/ca.pem')).text();
  const body = pem.replace(/-----[^-]+-----/g, '').replace(/\s/g, '');
  return sha256(Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0)));
}

/** How machines join this cloud: `GET /join`. */
export interface How {
  swarm: boolean;
  url?: string;
  scriptSha256?: string;
}

/** The same line as `aerekos token create` prints. The script runs only when it is, byte for byte, the one we know. */
export function lineFor(how: How, origin: string, token: string): string {
  if (!how.swarm) return `AEREKOS_AGENT_TOKEN=${token} aerekos-agent --api ${origin}`;
  return (
    `f=$(mktemp) && curl -fsSk ${how.url}/join.sh -o $f && echo "${how.scriptSha256}  $f" | sha256sum -c --quiet ` +
    `&& AEREKOS_JOIN_TOKEN=${token} sh $f ${how.url}`
  );
}

export interface Invitation {
  line: string;
  /** The name of the token: the cloud tells who used it. */
  token: string;
  swarm: boolean;
}

/** Makes a token and the line to run on the machine that joins. Raises ApiError. */
export async function invite(hours: number, uses: number): Promise<Invitation> {
  const name = `join-${randomWord(8)}`;
  const secret = randomWord(32);
  const token: Resource = {
    apiVersion: 'aerekos.cloud/v1',
    kind: 'JoinToken',
    metadata: { name },
    spec: {
      secretSha256: await sha256(new TextEncoder().encode(secret)),
      expiresAt: new Date(Date.now() + hours * 3_600_000).toISOString().replace(/\.\d+Z$/, 'Z'),
      uses,
    },
  };
  const [pin, how] = await Promise.all([fingerprint(), ask<How>('/join')]);
  await create(JOIN_TOKENS, token, 'Join token made; it is shown this once');
  return { line: lineFor(how, window.location.origin, `${name}.${secret}.${pin}`), token: name, swarm: how.swarm };
}

export interface Arrival {
  name: string;
  worker: Worker | undefined;
  step: 'named' | 'heard' | 'ready';
}

/** How far each machine has come that used the token. Pure. */
export function arrivals(
  token: Resource | undefined,
  workers: readonly Worker[],
  heard: (name: string) => boolean,
): Arrival[] {
  return ((token?.status?.usedBy ?? []) as string[]).map((name) => {
    const worker = workers.find((each) => each.metadata.name === name);
    const ready = worker !== undefined && workerHealth(worker) === 'well';
    return { name, worker, step: ready ? 'ready' : heard(name) ? 'heard' : 'named' };
  });
}
