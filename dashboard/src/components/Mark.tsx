import { color } from '../styles/tokens';

/** Our sign: two blades of one letter. `moving` draws it again and again while something loads. */
export function Mark({ size = 30, moving = false }: { size?: number; moving?: boolean }) {
  const line = { fill: 'none', stroke: color.gold, strokeWidth: moving ? 1.4 : 2.6, pathLength: 1 } as const;
  const drawn = (step: number) => (moving ? `draw draw-${step}` : undefined);
  return (
    <svg width={size} height={size} viewBox="0 0 64 64" aria-hidden="true" style={{ flexShrink: 0 }}>
      <path className={drawn(1)} d="M32 6 9 57h10L32 28l13 29h10z" {...line} />
      <path className={drawn(2)} d="M24 47h16" {...line} />
      {moving && <path className={drawn(3)} d="M32 0 64 32 32 64 0 32z" {...line} strokeWidth={0.7} />}
    </svg>
  );
}
