import { useObservable } from './useObservable';
import { Observable } from '../utils/observable';

/** One clock for all who look, moving while somebody does. */
class Ticking extends Observable<number> {
  private lookers = 0;
  private timer: ReturnType<typeof setInterval> | undefined;

  constructor(private readonly period: number) {
    super(Date.now());
  }

  override subscribe = (listener: () => void): (() => void) => {
    const stop = this.listen(listener);
    this.lookers += 1;
    if (this.timer === undefined) {
      this.set(Date.now());
      this.timer = setInterval(() => this.set(Date.now()), this.period);
    }
    return () => {
      stop();
      this.lookers -= 1;
      if (this.lookers > 0) return;
      clearInterval(this.timer);
      this.timer = undefined;
    };
  };
}

const clocks = new Map<number, Ticking>();

/** The time in ms since 1970, moving on once every `period` ms: for ages on screen. */
export function useNow(period = 1000): number {
  let clock = clocks.get(period);
  if (!clock) clocks.set(period, (clock = new Ticking(period)));
  return useObservable(clock);
}
