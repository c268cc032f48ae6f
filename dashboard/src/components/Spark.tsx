import { color } from '../styles/tokens';

/** The last minute as a thin line. `top` is the whole. */
export function Spark({
  values,
  top,
  width = 84,
  height = 20,
}: {
  values: readonly number[];
  top: number;
  width?: number;
  height?: number;
}) {
  if (values.length < 2) return null;
  const step = width / 59;
  const left = width - (values.length - 1) * step;
  const y = (value: number) => height - 1.5 - Math.min(1, value / (top || 1)) * (height - 3);
  const points = values.map((value, index) => `${(left + index * step).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
  return (
    <svg width={width} height={height} aria-hidden="true">
      <polyline points={points} fill="none" stroke={color.soft} strokeWidth="1" strokeLinejoin="round" />
    </svg>
  );
}
