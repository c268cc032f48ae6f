/** A GET that streams lines, read over a WebSocket: browsers allow six connections to a host, but many sockets. */
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

/** Opens the stream as the person who is logged in. */
export async function openStream(path: string, hears: Hears): Promise<Stream> {
  const token = await freshToken();
  const url = new URL(path, window.location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(url, ['aerekos.lines', asProtocol(token)]);
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
  socket.onclose = (event) => end(refusal ?? (event.code > 4400 ? fromStatus(event.code - 4000, null) : undefined));
  return {
    close: () => {
      over = true;
      socket.close();
    },
  };
}
