/** A join token: made here, its secret seen only here; the cloud keeps the hash. Same form as `aerekos token create`. */
import { raw } from './api';
import { create } from './actions';
import { JOIN_TOKENS, type Resource } from './resources';

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

/** The line to run on the machine that joins. Raises ApiError. */
export async function joinLine(hours: number, uses: number): Promise<string> {
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
  const pin = await fingerprint();
  await create(JOIN_TOKENS, token, 'Join token made; it is shown this once');
  return `aerekos-agent --api ${window.location.origin} --token ${name}.${secret}.${pin}`;
}
