/**
 * Large files into buckets, part by part. What arrived stays at the storage: the same file, chosen again after a reload
 * or on another day, goes on where it stopped. Nothing is remembered here; which parts are the same is told by their
 * SHA-256, which the storage keeps of each.
 *
 * Source: Amazon S3 API reference, CreateMultipartUpload, UploadPart, ListParts, CompleteMultipartUpload.
 */
import { raw } from './api';
import { ApiError } from './errors';
import { pathOf, put } from './s3';
import { elementsIn, parsed, textIn } from './xml';

const MIB = 1 << 20;
/** From so many bytes on a file goes in parts. */
export const LARGE = 32 * MIB;
const PART = 16 * MIB;
const MOST_PARTS = 9_000;
const TRIES = 4;

export interface Part {
  number: number;
  size: number;
  etag: string;
  sha256: string;
}

export interface Unfinished {
  key: string;
  id: string;
  begun: string;
}

/** Bytes of each part but the last. Pure. */
export function partSize(size: number): number {
  return Math.max(PART, Math.ceil(size / MOST_PARTS / MIB) * MIB);
}

/** Uploads that were begun and not ended, of keys that begin so. Raises ApiError. */
export async function unfinished(bucket: string, prefix: string, signal?: AbortSignal): Promise<Unfinished[]> {
  const query = new URLSearchParams({ prefix });
  const xml = await (await raw(`${pathOf(bucket)}?uploads&${query}`, { signal })).text();
  return elementsIn(parsed(xml), 'Upload').map((each) => ({
    key: textIn(each, 'Key'),
    id: textIn(each, 'UploadId'),
    begun: textIn(each, 'Initiated'),
  }));
}

/** Lets go of what has arrived of it. Raises ApiError. */
export async function discard(bucket: string, { key, id }: Unfinished): Promise<void> {
  await raw(`${pathOf(bucket, key)}?uploadId=${encodeURIComponent(id)}`, { method: 'DELETE' });
}

/** Goes on with what arrived before, if something did. `told`: the share that is there, from 0 to 1. Raises ApiError. */
export async function uploadParts(
  bucket: string,
  key: string,
  file: File,
  told: (share: number) => void,
): Promise<void> {
  const path = pathOf(bucket, key);
  const before = await resumable(bucket, key);
  const id = before?.id ?? (await begin(path, file.type));
  const there = new Map((before?.parts ?? []).map((each) => [each.number, each]));
  const size = partSize(file.size);
  const done: Part[] = [];
  for (let start = 0; start < file.size; start += size) {
    const number = start / size + 1;
    const piece = file.slice(start, start + size);
    const sha256 = await digest(piece);
    const known = there.get(number);
    const same = known && known.size === piece.size && known.sha256 === sha256;
    const one = (share: number) => told((start + share * piece.size) / file.size);
    done.push(
      same ? known : await patiently(() => sendPart(`${path}?partNumber=${number}`, id, number, piece, sha256, one)),
    );
    one(1);
  }
  const body = completion(done);
  await raw(`${path}?uploadId=${encodeURIComponent(id)}`, { method: 'POST', text: body, type: 'application/xml' });
}

/** The newest one of that key that can be gone on with. */
async function resumable(bucket: string, key: string): Promise<{ id: string; parts: Part[] } | null> {
  const begun = (await unfinished(bucket, key)).filter((each) => each.key === key);
  for (const { id } of begun.sort((a, b) => (a.begun < b.begun ? 1 : -1))) {
    const parts = await partsOf(pathOf(bucket, key), id);
    if (parts) return { id, parts };
  }
  return null;
}

/** null for an upload whose parts have no SHA-256: another tool began it. */
async function partsOf(path: string, id: string): Promise<Part[] | null> {
  const found: Part[] = [];
  for (let after = '0'; ;) {
    const query = new URLSearchParams({ uploadId: id, 'part-number-marker': after });
    const page = readParts(await (await raw(`${path}?${query}`)).text());
    if (!page.summed) return null;
    found.push(...page.parts);
    if (!page.next) return found;
    after = page.next;
  }
}

/** A page of ListParts. Pure. */
export function readParts(xml: string): { summed: boolean; parts: Part[]; next: string } {
  const document = parsed(xml);
  const more = textIn(document, 'IsTruncated') === 'true';
  return {
    summed: textIn(document, 'ChecksumAlgorithm') === 'SHA256',
    parts: elementsIn(document, 'Part').map((each) => ({
      number: Number(textIn(each, 'PartNumber')),
      size: Number(textIn(each, 'Size')),
      etag: textIn(each, 'ETag'),
      sha256: textIn(each, 'ChecksumSHA256'),
    })),
    next: more ? textIn(document, 'NextPartNumberMarker') : '',
  };
}

async function begin(path: string, type: string): Promise<string> {
  const headers = { 'x-amz-checksum-algorithm': 'SHA256', 'content-type': type || 'application/octet-stream' };
  const xml = await (await raw(`${path}?uploads`, { method: 'POST', headers })).text();
  return textIn(parsed(xml), 'UploadId');
}

async function sendPart(
  path: string,
  id: string,
  number: number,
  piece: Blob,
  sha256: string,
  told: (share: number) => void,
): Promise<Part> {
  const headers = { 'x-amz-checksum-sha256': sha256 };
  const etag = await put(`${path}&uploadId=${encodeURIComponent(id)}`, piece, headers, told);
  return { number, size: piece.size, etag, sha256 };
}

/** Again after a while where nobody answered, or the storage could not. Raises ApiError. */
export async function patiently<T>(act: () => Promise<T>, firstMs = 1000): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await act();
    } catch (error) {
      const passing = error instanceof ApiError && (error.code === 0 || error.code === 429 || error.code >= 500);
      if (!passing || attempt === TRIES) throw error;
      await new Promise((go) => setTimeout(go, firstMs * 2 ** (attempt - 1)));
    }
  }
}

/** What `CompleteMultipartUpload` is sent. Pure. */
export function completion(parts: readonly Part[]): string {
  const told = parts.map(
    ({ number, etag, sha256 }) =>
      `<Part><PartNumber>${number}</PartNumber><ETag>${etag.replace(/"/g, '&quot;')}</ETag><ChecksumSHA256>${sha256}</ChecksumSHA256></Part>`,
  );
  return `<CompleteMultipartUpload>${told.join('')}</CompleteMultipartUpload>`;
}

/** In base64, as S3 has it. */
export async function digest(piece: Blob): Promise<string> {
  const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', await piece.arrayBuffer()));
  return btoa(String.fromCharCode(...sum));
}
