/** Requests to the public API, as the person who is logged in. */
import { ApiError, fromStatus, Unreachable } from './errors';
import { freshToken } from './session';

export interface Ask {
  method?: string;
  body?: unknown;
  /** Sent as it is, with this content type. */
  text?: string;
  type?: string;
  accept?: string;
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
  const headers: Record<string, string> = { authorization: `Bearer ${token}` };
  const body = options.text ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
  if (body !== undefined) headers['content-type'] = options.type ?? 'application/json';
  if (options.accept) headers.accept = options.accept;
  try {
    return await fetch(path, { method: options.method ?? 'GET', headers, body, signal: options.signal });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Unreachable();
  }
}

/** Kubernetes says JSON, S3 says XML: both name what was wrong. */
export async function refusal(response: Response): Promise<ApiError> {
  const text = await response.text();
  const xml = /<Code>(.*?)<\/Code>\s*<Message>(.*?)<\/Message>/s.exec(text);
  if (xml) return new ApiError(response.status, xml[1] ?? '', xml[2] ?? '');
  try {
    return fromStatus(response.status, JSON.parse(text));
  } catch {
    return fromStatus(response.status, null);
  }
}

export const MERGE = 'application/merge-patch+json';
