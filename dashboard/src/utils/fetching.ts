/** One request to the cloud, told apart from the network's own trouble. */
import { Unreachable } from './errors';

const AGAIN_MS = 250;

interface Wanted extends RequestInit {
  /** Repeating it does no harm. A device that changes its network loses what was under way; asking again helps. */
  harmless?: boolean;
}

/** Raises Unreachable when nobody answered, and what the signal raises. */
export async function fetched(path: string, { harmless = false, ...init }: Wanted = {}): Promise<Response> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await fetch(path, init);
    } catch (error) {
      if (init.signal?.aborted) throw error;
      if (!harmless || attempt > 0) throw new Unreachable();
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}
