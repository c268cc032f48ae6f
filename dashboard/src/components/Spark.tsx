import { Text, View } from 'react-native';

import { useLayout } from '../hooks/useLayout';
import { status } from '../styles/status';
import { text } from '../styles/text';
import { color } from '../styles/tokens';

const POINTS = 60;

interface SparkProps {
  values: readonly number[];
  /** The whole; without one, the most there was. */
  top?: number;
  width?: number;
  height?: number;
  tint?: string;
}

/** The last minute as a thin line over a faint floor. */
export function Spark({ values, top, width = 84, height = 20, tint = color.soft }: SparkProps) {
  const step = width / (POINTS - 1);
  const left = width - (values.length - 1) * step;
  const most = top || Math.max(...values, 0) * 1.15 || 1;
  const y = (value: number) => height - 1.5 - Math.min(1, value / most) * (height - 3);
  const points = values.map((value, index) => `${(left + index * step).toFixed(1)},${y(value).toFixed(1)}`);
  const first = `${left.toFixed(1)},${height}`;
  return (
    <svg width={width} height={height} aria-hidden="true" style={{ display: 'block', maxWidth: '100%' }}>
      <path d={`M0 ${height - 0.5}H${width}`} stroke={color.line} strokeWidth="1" />
      {values.length > 1 && (
        <>
          <polygon points={[first, ...points, `${width},${height}`].join(' ')} fill={tint} fillOpacity="0.1" />
          <polyline points={points.join(' ')} fill="none" stroke={tint} strokeWidth="1.2" strokeLinejoin="round" />
        </>
      )}
    </svg>
  );
}

/** A number, what it is, and its last minute. */
export function Metric({ name, told, ...spark }: SparkProps & { name: string; told: string }) {
  const width = useLayout().phone ? 128 : 150;
  return (
    <View style={[status.metric, { width }]} role="group" aria-label={`${name}: ${told}`}>
      <Text style={text.label}>{name}</Text>
      <Text style={text.figure}>{told}</Text>
      <Spark width={width} height={34} {...spark} />
    </View>
  );
}
