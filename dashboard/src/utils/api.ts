/** Requests to the public API, as the person who is logged in. */
import { ApiError, fromStatus } from './errors';
import { fetched } from './fetching';
import { plainText } from './plainText';
import { freshToken } from './session';

export interface Ask {
  method?: string;
  body?: unknown;
  /** Sent as it is, with this content type. */
  text?: string;
  type?: string;
  accept?: string;
  headers?: Record<string, string>;
  /** A question, though it is asked by POST: it may be repeated. */
  harmless?: boolean;
  signal?: AbortSignal;
}

/** The answer as JSON. Raises ApiError; a 401 is answered with one refresh and one more try. */
export async function ask<T>(path: string, options: Ask = {}): Promise<T> {
  const response = await raw(path, options);
  return (response.status === 204 ? null : await response.json()) as T;
}

/** The response itself, for everything that is not JSON. */
export async function raw(path: string, options: Ask = {}): Promise<Response> {
  let response = await sent(path, options, await freshToken());
  if (response.status === 401) response = await sent(path, options, await freshToken(true));
  if (!response.ok) throw await refusal(response);
  return response;
}

async function sent(path: string, options: Ask, token: string): Promise<Response> {
  const headers: Record<string, string> = { ...options.headers, authorization: `Bearer ${token}` };
  const body = options.text ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
  if (body !== undefined) headers['content-type'] = options.type ?? 'application/json';
  if (options.accept) headers.accept = options.accept;
  const method = options.method ?? 'GET';
  return fetched(path, {
    method,
    headers,
    body,
    signal: options.signal,
    harmless: options.harmless ?? /^(GET|HEAD)$/.test(method),
  });
}

/** Kubernetes and KMS say JSON, S3 says XML: each names what was wrong. */
export async function refusal(response: Response): Promise<ApiError> {
  const text = await response.text();
  const xml = /<Code>(.*?)<\/Code>\s*<Message>(.*?)<\/Message>/s.exec(text);
  if (xml) return new ApiError(response.status, xml[1] ?? '', xml[2] ?? '');
  try {
    const told = JSON.parse(text) as Record<string, unknown>;
    // AWS's JSON names its errors in a way of its own.
    if (told.__type)
      return new ApiError(response.status, plainText(told.__type), plainText(told.message ?? told.Message ?? ''));
    // Prometheus's API has words of its own, too.
    if (told.status === 'error')
      return new ApiError(response.status, plainText(told.errorType ?? ''), plainText(told.error ?? ''));
    return fromStatus(response.status, told);
  } catch {
    return fromStatus(response.status, null);
  }
}

export const MERGE = 'application/merge-patch+json';
