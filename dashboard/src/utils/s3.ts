/** Objects in buckets, over the gateway: S3 in path style, the person's own token instead of a signature. */
import { raw, refusal } from './api';
import { pathSpeaking } from './catalog';
import { Unreachable } from './errors';
import { saveAs } from './saving';
import { freshToken } from './session';
import { elementsIn, parsed, textIn } from './xml';

export interface ObjectSeen {
  key: string;
  size: number;
  modified: string;
  etag: string;
}

export interface Page {
  objects: ObjectSeen[];
  folders: string[];
  next: string | null;
}

export function pathOf(bucket: string, key = ''): string {
  const safe = key.split('/').map(encodeURIComponent).join('/');
  return `${pathSpeaking('s3')}/${encodeURIComponent(bucket)}${key ? `/${safe}` : ''}`;
}

export function readPage(xml: string): Page {
  const document = parsed(xml);
  const objects = elementsIn(document, 'Contents').map((each) => ({
    key: textIn(each, 'Key'),
    size: Number(textIn(each, 'Size')),
    modified: textIn(each, 'LastModified'),
    etag: textIn(each, 'ETag'),
  }));
  const folders = elementsIn(document, 'CommonPrefixes').map((each) => textIn(each, 'Prefix'));
  return { objects, folders, next: textIn(document, 'NextContinuationToken') || null };
}

/** Raises ApiError. */
export async function list(bucket: string, prefix: string, after: string | null): Promise<Page> {
  const query = new URLSearchParams({ 'list-type': '2', delimiter: '/', prefix, 'max-keys': '200' });
  if (after) query.set('continuation-token', after);
  return readPage(await (await raw(`${pathOf(bucket)}?${query}`)).text());
}

export async function removeObject(bucket: string, key: string): Promise<void> {
  await raw(pathOf(bucket, key), { method: 'DELETE' });
}

export interface Facts {
  type: string;
  size: number;
  modified: string;
  etag: string;
}

/** What the storage knows of one object. Raises ApiError. */
export async function factsOf(bucket: string, key: string): Promise<Facts> {
  const { headers } = await raw(pathOf(bucket, key), { method: 'HEAD' });
  const told = (name: string) => headers.get(name) ?? '';
  return {
    type: told('content-type'),
    size: Number(told('content-length')),
    modified: told('last-modified'),
    etag: told('etag').replace(/"/g, ''),
  };
}

/** Hands the object to the browser as a file. */
export async function download(bucket: string, key: string): Promise<void> {
  saveAs(await (await raw(pathOf(bucket, key))).blob(), key.split('/').pop() || key);
}

/** Tells how much has left, from 0 to 1. Raises ApiError. */
export async function upload(bucket: string, key: string, file: File, told: (share: number) => void): Promise<void> {
  await put(pathOf(bucket, key), file, { 'content-type': file.type || 'application/octet-stream' }, told);
}

/** The ETag of what was stored. XMLHttpRequest, because fetch does not say how much has left. Raises ApiError. */
export async function put(
  path: string,
  body: Blob,
  headers: Record<string, string>,
  told: (share: number) => void,
): Promise<string> {
  const token = await freshToken();
  return new Promise<string>((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('PUT', path);
    request.setRequestHeader('authorization', `Bearer ${token}`);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => told(event.total ? event.loaded / event.total : 0);
    request.onerror = () => reject(new Unreachable());
    request.onload = () => {
      if (request.status < 300) resolve(request.getResponseHeader('etag') ?? '');
      else void refusal(new Response(request.responseText, { status: request.status })).then(reject);
    };
    request.send(body);
  });
}
