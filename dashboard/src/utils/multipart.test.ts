import { afterEach, describe, expect, it, vi } from 'vitest';

import { ApiError, Unreachable } from './errors';
import { completion, digest, partSize, patiently, readParts, uploadParts } from './multipart';

const MIB = 1 << 20;
const SIZE = 16 * MIB;
const calls: string[] = [];
let stored: { number: number; size: number; sha256: string }[] = [];
let begun = false;

vi.mock('./catalog', () => ({ pathSpeaking: () => '/s3' }));
vi.mock('./s3', async () => ({
  pathOf: (bucket: string, key = '') => `/s3/${bucket}${key ? `/${key}` : ''}`,
  put: async (path: string, body: Blob, headers: Record<string, string>) => {
    const number = Number(new URLSearchParams(path.split('?')[1]).get('partNumber'));
    calls.push(`PUT ${number}`);
    stored.push({ number, size: body.size, sha256: headers['x-amz-checksum-sha256']! });
    return `"etag-${number}"`;
  },
}));
vi.mock('./api', () => ({
  raw: async (path: string, { method = 'GET', text = '' } = {}) => {
    calls.push(
      `${method} ${path.split('?')[1]!.replace(/=.*/, '')}${text ? ` ${text.split('<Part>').length - 1}` : ''}`,
    );
    return { text: async () => answer(method, path) };
  },
}));

function answer(method: string, path: string): string {
  if (method === 'POST' && path.endsWith('?uploads')) return '<R><UploadId>u1</UploadId></R>';
  if (path.includes('?uploads'))
    return begun
      ? '<R><Upload><Key>film</Key><UploadId>u0</UploadId><Initiated>2026-01-01T00:00:00Z</Initiated></Upload></R>'
      : '<R/>';
  const parts = stored.map(
    ({ number, size, sha256 }) =>
      `<Part><PartNumber>${number}</PartNumber><Size>${size}</Size><ETag>"etag-${number}"</ETag><ChecksumSHA256>${sha256}</ChecksumSHA256></Part>`,
  );
  return `<R><ChecksumAlgorithm>SHA256</ChecksumAlgorithm>${parts.join('')}</R>`;
}

/** Parts of one byte each, so that it is known which is which. */
function film(bytes: readonly number[]): File {
  return new File(
    bytes.map((each) => new Uint8Array(SIZE).fill(each)),
    'film',
  );
}

afterEach(() => {
  calls.length = 0;
  stored = [];
  begun = false;
});

describe('a large file', () => {
  it('goes part by part, and is told how far it came', async () => {
    const shares: number[] = [];
    await uploadParts('b', 'film', film([1, 2, 3]), (share) => shares.push(share));
    expect(calls).toEqual(['GET uploads&prefix', 'POST uploads', 'PUT 1', 'PUT 2', 'PUT 3', 'POST uploadId 3']);
    expect(shares).toEqual([1 / 3, 2 / 3, 1]);
  });

  it('goes on where it stopped; a part that is another one now is sent anew', async () => {
    begun = true;
    stored = [
      { number: 1, size: SIZE, sha256: await digest(film([1])) },
      { number: 2, size: SIZE, sha256: await digest(film([9])) },
    ];
    await uploadParts('b', 'film', film([1, 2, 3]), () => undefined);
    expect(calls.filter((each) => each.startsWith('PUT'))).toEqual(['PUT 2', 'PUT 3']);
    expect(calls.at(-1)).toBe('POST uploadId 3');
  });

  it('has at most 10,000 parts of at least 5 MiB, however large it is', () => {
    for (const size of [1, 33 * MIB, 150 * 1024 * MIB, 5 * 1024 * 1024 * MIB]) {
      expect(partSize(size)).toBeGreaterThanOrEqual(5 * MIB);
      expect(Math.ceil(size / partSize(size))).toBeLessThanOrEqual(10_000);
    }
  });
});

describe('what S3 says', () => {
  it('is read page by page', () => {
    const page = readParts('<R><IsTruncated>true</IsTruncated><NextPartNumberMarker>7</NextPartNumberMarker></R>');
    expect(page).toEqual({ summed: false, parts: [], next: '7' });
  });
  it('is told which parts there are', () => {
    expect(completion([{ number: 1, size: 1, etag: '"a"', sha256: 'b=' }])).toBe(
      '<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;a&quot;</ETag><ChecksumSHA256>b=</ChecksumSHA256></Part></CompleteMultipartUpload>',
    );
  });
});

describe('patience', () => {
  it('tries again where nobody answered, not where it was refused', async () => {
    let tries = 0;
    const failing = (error: unknown) => async () => {
      tries += 1;
      throw error;
    };
    await expect(patiently(failing(new Unreachable()), 0)).rejects.toThrow();
    expect(tries).toBe(4);
    tries = 0;
    await expect(patiently(failing(new ApiError(403, 'Forbidden', 'no')), 0)).rejects.toThrow('no');
    expect(tries).toBe(1);
    await expect(patiently(async () => 'there', 0)).resolves.toBe('there');
  });
});
