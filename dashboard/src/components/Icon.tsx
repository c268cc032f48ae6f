import { color } from '../styles/tokens';

/** Line drawings of 16 × 16, one stroke each. */
const PATHS = {
  home: 'M2 8 8 2.5 14 8M4 7v6.5h8V7',
  services: 'M8 1.8 14 5v6l-6 3.2L2 11V5zM2 5l6 3.2L14 5M8 8.2v6',
  workers: 'M2 3h12v4H2zM2 9h12v4H2zM4.5 5h.01M4.5 11h.01',
  keys: 'M9.5 6.5a3 3 0 1 0-2.4 2.9L8.5 11H10v1.500h1.500V14H14v-2.200L9.3 7.2',
  buckets: 'M2.5 4h11l-1.3 9.500H3.800zM2.5 4c0-2.5 11-2.5 11 0',
  databases:
    'M2.500 4c0-1.300 2.500-2.200 5.500-2.200s5.500.9 5.500 2.200-2.500 2.200-5.500 2.200S2.500 5.300 2.500 4zM2.500 4v8c0 1.300 2.500 2.200 5.500 2.200s5.500-.9 5.500-2.200V4M2.500 8c0 1.300 2.500 2.200 5.500 2.200s5.500-.9 5.500-2.200',
  queues: 'M2 4h5v8H2zM9 4h1v8H9zM12 4h2v8h-2z',
  topics: 'M3 8h3M6 3.500v9M6 5l6-2.500M6 8h7M6 11l6 2.500',
  schedules: 'M8 14.200A6.200 6.200 0 1 0 8 1.800a6.200 6.200 0 0 0 0 12.400zM8 4.500V8l2.500 1.800',
  webhooks: 'M2 8h8M7 4.500 10.500 8 7 11.500M13.500 3v10',
  metrics: 'M2 2v12h12M4.500 10.500 7 6.500l3 2.500 3.500-5.500',
  alerts: 'M3.500 11.500h9L11 9.500V7a3 3 0 0 0-6 0v2.500zM6.800 13.500h2.400',
  kinds: 'M2 2h5v5H2zM9 2h5v5H9zM2 9h5v5H2zM9 9h5v5H9z',
  users: 'M8 8a2.8 2.8 0 1 0 0-5.600A2.8 2.8 0 0 0 8 8zM2.5 14c.5-3 2.6-4.3 5.5-4.300s5 1.3 5.5 4.3',
  settings:
    'M8 5.500a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM8 1v2M8 13v2M1 8h2M13 8h2M3 3l1.5 1.500M11.5 11.5 13 13M13 3l-1.5 1.500M4.5 11.5 3 13',
  diff: 'M8 2.500v7M4.5 6h7M4.500 13h7',
  access: 'M8 1.800 13 4v4c0 3-2 5-5 6.200C5 13 3 11 3 8V4zM5.800 8 7.400 9.600 10.400 6.200',
  audit: 'M3.500 2h9v12h-9zM6 5.500h4M6 8h4M6 10.500h2.500',
  api: 'M5.500 4 2 8l3.500 4M10.500 4 14 8l-3.500 4',
  link: 'M6.500 9.500 10 6M5 7 3.500 8.500a2.500 2.500 0 0 0 4 4L9 11M7 5l1.500-1.500a2.500 2.500 0 0 1 4 4L11 9',
  more: 'M3 8h.01M8 8h.01M13 8h.01',
  search: 'M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.6 10.6 14 14',
  copy: 'M5.5 5.500h8v8h-8zM3.5 10.500h-1v-8h8v1',
  close: 'M3.5 3.500l9 9M12.5 3.500l-9 9',
  up: 'M8 13V3M4 7l4-4 4 4',
  down: 'M8 3v10M4 9l4 4 4-4',
  folder: 'M2 4h4l1.5 2H14v7H2z',
  file: 'M4 2h5l3 3v9H4zM9 2v3h3',
  plus: 'M8 3v10M3 8h10',
  minus: 'M3 8h10',
  trash: 'M3 4.500h10M6.5 4.500v-2h3v2M4.5 4.5 5 14h6l.5-9.5',
  out: 'M6 2H3v12h3M7 8h7M11 5l3 3-3 3',
} as const;

export type IconName = keyof typeof PATHS;

/** Decoration: whatever it stands beside says the same in words. */
export function Icon({ name, tint = color.soft, size = 16 }: { name: IconName; tint?: string; size?: number }) {
  const stroke = {
    fill: 'none',
    stroke: tint,
    strokeWidth: name === 'more' ? 2.4 : 1.25,
    strokeLinecap: 'round',
    strokeLinejoin: 'round',
  } as const;
  return (
    <svg width={size} height={size} viewBox="0 0 16 16" aria-hidden="true" style={{ flexShrink: 0 }}>
      <path d={PATHS[name]} {...stroke} />
    </svg>
  );
}
