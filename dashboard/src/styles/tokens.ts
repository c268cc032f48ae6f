/** Every colour, size and duration. Nothing else in the dashboard writes one down. */

export const color = {
  // Layers, from the back to the front.
  void: '#050609',
  ground: '#0a0c11',
  raised: '#10131a',
  lifted: '#171b24',
  hover: '#1b202b',
  line: '#262b36',
  lineStrong: '#5d6473',
  lineSoft: '#191d26',
  veil: 'rgba(3, 4, 6, 0.78)',

  text: '#efeadd',
  soft: '#b9b5a8',
  faint: '#908d82',
  inverse: '#0a0c11',

  // Gold means: chosen, or the thing to press.
  gold: '#d9b65c',
  goldBright: '#f3d88e',
  goldDim: '#7d683a',
  goldWash: 'rgba(217, 182, 92, 0.10)',
  goldLine: 'rgba(217, 182, 92, 0.34)',

  // Told apart by lightness and hue for colour-blind people; never shown without a sign or a word.
  well: '#56c9ae',
  busy: '#7fb4ff',
  warn: '#ff9f5a',
  bad: '#ff6f7d',
  idle: '#8d95a5',
  unknown: '#b69cf0',
} as const;

export const wash = {
  well: 'rgba(86, 201, 174, 0.10)',
  busy: 'rgba(127, 180, 255, 0.10)',
  warn: 'rgba(255, 159, 90, 0.11)',
  bad: 'rgba(255, 111, 125, 0.12)',
  idle: 'rgba(141, 149, 165, 0.10)',
  unknown: 'rgba(182, 156, 240, 0.10)',
} as const;

export const font = {
  display: 'Marcellus, Optima, "Avenir Next", "Segoe UI", serif',
  body: '"Inter Variable", Inter, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif',
  mono: '"JetBrains Mono", ui-monospace, SFMono-Regular, Menlo, Consolas, monospace',
} as const;

export const size = { tiny: 11, small: 12.5, body: 14, large: 16, title: 20, hero: 30 } as const;

/** Letter spacing of capitals, in px. */
export const track = { label: 1.6, title: 3.6, brand: 6.5 } as const;

export const space = { xs: 4, s: 8, m: 12, l: 16, xl: 24, xxl: 36, huge: 56 } as const;

export const radius = { s: 2, m: 3, round: 999 } as const;

export const duration = { quick: '140ms', calm: '420ms' } as const;

/** Widths (px of layout) at which the arrangement changes. */
export const width = { phone: 640, tablet: 1040, rail: 232, content: 1560 } as const;

/** What a finger can hit. */
export const touch = 44;
