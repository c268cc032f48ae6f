/**
 * Links to one object that work for a while without logging in: AWS Signature Version 4 in the query.
 * Signed here, with the person's own key pair; it is asked for each time and not kept.
 * Source: AWS, "Authenticating Requests: Using Query Parameters".
 */
import { ask } from './api';

interface KeyPair {
  accessKeyId: string;
  secretAccessKey: string;
  region: string;
}

export interface Wanted {
  origin: string;
  bucket: string;
  key: string;
  seconds: number;
  now: Date;
}

const text = new TextEncoder();

function hex(buffer: ArrayBuffer): string {
  return [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function hmac(key: BufferSource, data: string): Promise<ArrayBuffer> {
  const known = await crypto.subtle.importKey('raw', key, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return crypto.subtle.sign('HMAC', known, text.encode(data));
}

/** As RFC 3986 has it: encodeURIComponent leaves five characters alone that AWS does not. */
function escaped(value: string): string {
  return encodeURIComponent(value).replace(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Pure: everything that matters is given. */
export async function signed({ origin, bucket, key, seconds, now }: Wanted, pair: KeyPair): Promise<string> {
  const stamp = now.toISOString().replace(/[-:]|\.\d{3}/g, '');
  const scope = `${stamp.slice(0, 8)}/${pair.region}/s3/aws4_request`;
  const path = `/${escaped(bucket)}/${key.split('/').map(escaped).join('/')}`;
  const query = Object.entries({
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${pair.accessKeyId}/${scope}`,
    'X-Amz-Date': stamp,
    'X-Amz-Expires': String(seconds),
    'X-Amz-SignedHeaders': 'host',
  })
    .map(([name, value]) => `${escaped(name)}=${escaped(value)}`)
    .join('&');
  const host = new URL(origin).host;
  const request = ['GET', path, query, `host:${host}\n`, 'host', 'UNSIGNED-PAYLOAD'].join('\n');
  const digest = hex(await crypto.subtle.digest('SHA-256', text.encode(request)));
  let signing: BufferSource = text.encode(`AWS4${pair.secretAccessKey}`);
  for (const part of scope.split('/')) signing = await hmac(signing, part);
  const signature = hex(await hmac(signing, ['AWS4-HMAC-SHA256', stamp, scope, digest].join('\n')));
  return `${origin}${path}?${query}&X-Amz-Signature=${signature}`;
}

/** Raises ApiError. */
export async function linkTo(bucket: string, key: string, seconds: number): Promise<string> {
  const pair = await ask<KeyPair>('/auth/access-key');
  return signed({ origin: window.location.origin, bucket, key, seconds, now: new Date() }, pair);
}
