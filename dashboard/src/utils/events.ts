/** Events in the order in which they happened. Pure. */
import type { Event, Resource } from './resources';

/** When it happened last: to the microsecond where the event tells it. */
export function momentOf(event: Event): string {
  const { eventTime, series, lastTimestamp, metadata } = event;
  return series?.lastObservedTime ?? lastTimestamp ?? eventTime ?? metadata.creationTimestamp ?? '';
}

/** Newest first; within one second by the order in which they were written. */
export function newestFirst<T extends Resource>(events: readonly T[]): T[] {
  const rank = (each: T): [number, number] => [
    Date.parse(momentOf(each as unknown as Event)) || 0,
    Number(each.metadata.resourceVersion ?? 0),
  ];
  return [...events].sort((a, b) => {
    const [at, version] = rank(a);
    const [otherAt, otherVersion] = rank(b);
    return Math.floor(otherAt / 1000) - Math.floor(at / 1000) || otherVersion - version;
  });
}
