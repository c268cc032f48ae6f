/** Kubernetes quantities and how people read them. */

const FACTORS: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** `1500m` → 1.5, `2Gi` → 2147483648. What cannot be read is 0. */
export function amount(quantity: string | number | undefined): number {
  const match = /^([+-]?[\d.]+(?:e[+-]?\d+)?)([a-zA-Z]*)$/.exec(String(quantity ?? '').trim());
  const factor = match ? FACTORS[match[2] ?? ''] : undefined;
  return match && factor !== undefined ? Number(match[1]) * factor : 0;
}

/** `23.5 GiB` */
export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function cores(value: number): string {
  return value >= 10 ? value.toFixed(0) : value.toFixed(1);
}

/** 0 to 1; 0 when nothing is known of the whole. */
export function share(part: number, whole: number): number {
  return whole > 0 ? Math.min(1, Math.max(0, part / whole)) : 0;
}
