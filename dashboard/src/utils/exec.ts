/**
 * A command in an instance of a service, with a terminal: `kubectl exec -it` as its WebSocket protocol has it. A binary
 * message begins with its channel.
 */
import { fromStatus } from './errors';
import { errorOfClose, openSocket } from './sockets';

const PROTOCOL = 'v5.channel.k8s.io';
const [STDIN, RESULT, RESIZE] = [0, 3, 4];
/** The best shell there is. */
export const SHELL = ['sh', '-c', 'command -v bash >/dev/null && exec bash || exec sh'];

export interface Target {
  namespace: string;
  instance: string;
  command: readonly string[];
}

export interface Ended {
  /** The exit code; null when it never ran, or nobody knows how it ended. */
  code: number | null;
  message: string;
}

export interface Hears {
  open: () => void;
  output: (bytes: Uint8Array) => void;
  /** Once. */
  ended: (how: Ended) => void;
}

export interface Running {
  write: (text: string) => void;
  resize: (columns: number, rows: number) => void;
  close: () => void;
}

export function pathOf({ namespace, instance, command }: Target): string {
  const query = new URLSearchParams({ stdin: 'true', stdout: 'true', tty: 'true' });
  for (const word of command) query.append('command', word);
  return `/api/v1/namespaces/${namespace}/pods/${encodeURIComponent(instance)}/exec?${query}`;
}

/** How a Status of the result channel reads. */
export function resultOf(status: Record<string, any>): Ended {
  if (status.status === 'Success') return { code: 0, message: 'It ended well.' };
  const cause = (status.details?.causes ?? []).find((each: { reason?: string }) => each.reason === 'ExitCode');
  if (cause) return { code: Number(cause.message), message: `It ended with exit code ${cause.message}.` };
  return { code: null, message: fromStatus(status.code ?? 500, status).message };
}

export function framed(channel: number, content: Uint8Array): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(content.length + 1);
  message[0] = channel;
  message.set(content, 1);
  return message;
}

/** Raises ApiError when there is no session; everything else is told to `ended`. */
export async function execute(target: Target, hears: Hears): Promise<Running> {
  const socket = await openSocket(pathOf(target), PROTOCOL);
  const encoder = new TextEncoder();
  let over = false;
  const end = (how: Ended) => {
    if (over) return;
    over = true;
    hears.ended(how);
  };
  const send = (channel: number, text: string) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(framed(channel, encoder.encode(text)));
  };
  socket.binaryType = 'arraybuffer';
  socket.onopen = hears.open;
  socket.onmessage = ({ data }) => {
    const bytes = new Uint8Array(data as ArrayBuffer);
    const content = bytes.subarray(1);
    if (bytes[0] === RESULT) end(resultOf(JSON.parse(new TextDecoder().decode(content))));
    else hears.output(content);
  };
  socket.onclose = ({ code }) =>
    end({ code: null, message: errorOfClose(code)?.message ?? 'The connection was lost; the command was ended.' });
  return {
    write: (text) => send(STDIN, text),
    resize: (columns, rows) => send(RESIZE, JSON.stringify({ Width: columns, Height: rows })),
    close: () => {
      over = true;
      socket.close();
    },
  };
}
