import { color } from '../styles/tokens';
import type { Health } from '../utils/health';

/** Each state has its own shape, so that colour is never the only difference. */
export function Sign({ health, size = 14 }: { health: Health; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 16 16" aria-hidden="true" style={{ flexShrink: 0 }}>
      {shape(health)}
    </svg>
  );
}

function shape(health: Health) {
  const line = {
    fill: 'none',
    stroke: color[health],
    strokeWidth: 1.6,
    strokeLinecap: 'round',
    strokeLinejoin: 'round',
  } as const;
  switch (health) {
    case 'well':
      return (
        <>
          <circle cx="8" cy="8" r="6.6" {...line} strokeOpacity="0.55" strokeWidth={1.2} />
          <path d="M4.8 8.3 7.1 10.5 11.3 5.8" {...line} />
        </>
      );
    case 'busy':
      return (
        <g className="turn">
          <circle cx="8" cy="8" r="6.2" {...line} strokeOpacity="0.25" />
          <path d="M8 1.800A6.2 6.2 0 0 1 14.2 8" {...line} />
        </g>
      );
    case 'warn':
      return (
        <>
          <path d="M8 2 15 14H1z" {...line} />
          <path d="M8 6.600v3.200M8 11.800v.1" {...line} />
        </>
      );
    case 'bad':
      return (
        <>
          <path d="M5.2 1.500h5.600l3.7 3.700v5.600l-3.7 3.700H5.200l-3.7-3.700V5.200z" {...line} />
          <path d="M5.8 5.800l4.4 4.400M10.2 5.8 5.8 10.2" {...line} />
        </>
      );
    case 'idle':
      return <circle cx="8" cy="8" r="5.5" {...line} strokeDasharray="1.5 2.8" />;
    default:
      return (
        <>
          <path d="M8 1.5 14.5 8 8 14.5 1.5 8z" {...line} />
          <path d="M6.7 6.600c.2-1.6 2.9-1.5 2.7.1-.1.9-1.4 1-1.4 2M8 10.700v.1" {...line} strokeWidth={1.3} />
        </>
      );
  }
}
