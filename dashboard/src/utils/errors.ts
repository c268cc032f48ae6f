/** Every answer of the API that is not a success, as the Kubernetes Status it sends. */

export interface Cause {
  field: string;
  message: string;
}

export class ApiError extends Error {
  constructor(
    readonly code: number,
    readonly reason: string,
    message: string,
    readonly causes: Cause[] = [],
  ) {
    super(message);
  }
}

/** The network failed: nobody answered. Trying again later may help. */
export class Unreachable extends ApiError {
  constructor() {
    super(0, 'Unreachable', 'the cloud does not answer');
  }
}

/** Whether it would be refused again, and each time is a line in the audit log. */
export function isRefusal(error: unknown): error is ApiError {
  return error instanceof ApiError && error.code >= 400 && error.code < 500;
}

export function fromStatus(code: number, body: unknown): ApiError {
  const status = (typeof body === 'object' && body !== null ? body : {}) as Record<string, any>;
  const causes = (status.details?.causes ?? []) as Cause[];
  const message = status.message || `the server answered ${code}`;
  return new ApiError(code, status.reason || 'Unknown', message, causes);
}

/** Most conflicts say themselves what stands in the way; that of two writers needs a second look. */
function conflictWords({ reason, causes }: ApiError): string {
  if (reason === 'AlreadyExists') return 'Choose another name.';
  return causes.length ? '' : 'It changed meanwhile: look at the newest version, then try again.';
}

/** What went wrong, and what to do, in one sentence each. */
export function inWords(error: unknown): { what: string; next: string } {
  if (!(error instanceof ApiError)) return { what: error instanceof Error ? error.message : String(error), next: '' };
  const next: Record<number, string> = {
    0: 'It is tried again by itself. On the machine: aerekos status.',
    401: 'Log in again.',
    403: 'Ask an admin for the role this needs.',
    404: 'It may have been deleted, or its service is not enabled.',
    409: conflictWords(error),
    410: 'The page reads everything again by itself.',
    422: error.causes.length ? 'Correct the named field.' : '',
    429: 'Wait a little.',
    503: 'The service behind it is not ready; it is tried again by itself.',
    504: 'The service behind it is slow; try again.',
  };
  return { what: error.message, next: next[error.code] ?? '' };
}
