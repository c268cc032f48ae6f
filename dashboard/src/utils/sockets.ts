/** A GET that streams lines, read over a WebSocket: browsers allow six connections to a host, but many sockets. */
import { patience, rest } from './backoff';
import { fromStatus, type ApiError } from './errors';
import { freshToken } from './session';

export interface Stream {
  close(): void;
}

export interface Hears {
  open?: () => void;
  lines: (lines: string[]) => void;
  /** Once, however it ended. Without an error the server or the network just stopped. */
  closed: (error?: ApiError) => void;
}

const BEARER = 'base64url.bearer.authorization.k8s.io.';

function asProtocol(token: string): string {
  return BEARER + btoa(token).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
}

/** A socket as the person who is logged in; the token travels as a subprotocol, never in the address. */
export async function openSocket(path: string, protocol: string): Promise<WebSocket> {
  const token = await freshToken();
  const url = new URL(path, window.location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return new WebSocket(url, [protocol, asProtocol(token)]);
}

/** Why a socket was closed, as far as its code says. */
export function errorOfClose(code: number): ApiError | undefined {
  return code > 4400 ? fromStatus(code - 4000, null) : undefined;
}

/** Opens the stream as the person who is logged in. */
export async function openStream(path: string, hears: Hears): Promise<Stream> {
  const socket = await openSocket(path, 'aerekos.lines');
  let over = false;
  const end = (error?: ApiError) => {
    if (over) return;
    over = true;
    socket.close();
    hears.closed(error);
  };
  let refusal: ApiError | undefined;
  socket.onopen = () => hears.open?.();
  socket.onmessage = (message) => {
    const lines = String(message.data).split('\n').filter(Boolean);
    if (!over) hears.lines(lines);
    const last = lines[lines.length - 1] ?? '';
    if (last.startsWith('{"type":"ERROR"')) {
      const status = JSON.parse(last).object;
      refusal = fromStatus(status.code ?? 500, status);
    }
  };
  socket.onclose = (event) => end(refusal ?? errorOfClose(event.code));
  return {
    close: () => {
      over = true;
      socket.close();
    },
  };
}

/** Reads the stream, and again when it ended, with patience, until `signal` says stop. `path` is asked each time. */
export async function followStream(path: () => string, hears: Hears, signal: AbortSignal): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    const opened = await once(path(), hears, signal).catch(() => false);
    if (opened) attempt = 0;
    if (!signal.aborted) await rest(patience(attempt), signal);
  }
}

/** Whether it was ever open. Raises ApiError when there is no token to be had. */
function once(path: string, hears: Hears, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let opened = false;
    openStream(path, {
      lines: hears.lines,
      open: () => {
        opened = true;
        hears.open?.();
      },
      closed: (error) => {
        // The session may have ended elsewhere: the token in memory would be tried until its own end.
        if (error?.code === 401) void freshToken(true).catch(() => undefined);
        hears.closed(error);
        resolve(opened);
      },
    }).then((stream) => {
      const stop = () => {
        stream.close();
        resolve(opened);
      };
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop);
    }, reject);
  });
}
