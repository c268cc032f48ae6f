/** How long ago, as people say it. */

export function secondsSince(moment: string | number | undefined, now: number): number {
  if (moment === undefined || moment === '') return 0;
  const then = typeof moment === 'number' ? moment : Date.parse(moment);
  return Math.max(0, (now - then) / 1000);
}

/** `8 s`, `4 min`, `3 h`, `12 d` */
export function span(seconds: number): string {
  if (seconds < 90) return `${Math.floor(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

export function ago(moment: string | number | undefined, now: number): string {
  const seconds = secondsSince(moment, now);
  return seconds < 3 ? 'just now' : `${span(seconds)} ago`;
}

export function clockTime(moment: string | number): string {
  return new Date(moment).toLocaleTimeString([], {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hour12: false,
  });
}
