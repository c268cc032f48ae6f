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

/** `26 Nov, 11:45:01`; without the day when it is today. */
export function momentTold(moment: string | number, now: number): string {
  const then = new Date(moment);
  const today = then.toDateString() === new Date(now).toDateString();
  if (today) return clockTime(moment);
  return `${then.toLocaleDateString([], { day: 'numeric', month: 'short' })}, ${clockTime(moment)}`;
}

export function clockTime(moment: string | number): string {
  return new Date(moment).toLocaleTimeString([], {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hour12: false,
  });
}
