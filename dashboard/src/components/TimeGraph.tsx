import { useState } from 'react';
import { Text, View } from 'react-native';

import { graph } from '../styles/graph';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { color, font } from '../styles/tokens';
import { graphTold, pieces, ticksOf, told, type Line, type Mark, type Unit } from '../utils/metrics';

const HEIGHT = 150;
const LEFT = 78;
const BOTTOM = 20;
const TOP = 8;
const MOST_LINES = 20;
/** Told apart by hue and lightness; the legend names each. */
const TINTS = [color.goldBright, color.busy, color.well, color.unknown, color.warn, color.bad, color.soft];

interface Props {
  title: string;
  lines: readonly Line[];
  /** In ms. */
  from: number;
  to: number;
  stepMs: number;
  unit: Unit;
  marks?: readonly Mark[];
}

/** Lines over time, what they are now, and where something was changed: what that was is said elsewhere. */
export function TimeGraph({ title, lines, from, to, stepMs, unit, marks = [] }: Props) {
  const [width, setWidth] = useState(0);
  const shown = lines.slice(0, MOST_LINES);
  const ticks = ticksOf(shown, unit);
  const [least, most] = [ticks[0]!, ticks[ticks.length - 1]!];
  const x = (at: number) => LEFT + ((at - from) / (to - from)) * (width - LEFT - 6);
  const y = (value: number) => HEIGHT - BOTTOM - ((value - least) / (most - least)) * (HEIGHT - BOTTOM - TOP);
  const inTime = marks.filter(({ at }) => at >= from && at <= to);
  return (
    <View style={graph.whole} onLayout={({ nativeEvent }) => setWidth(nativeEvent.layout.width)}>
      {width > 0 && (
        <svg
          width={width}
          height={HEIGHT}
          role="img"
          aria-label={graphTold(title, lines, unit)}
          style={{ display: 'block' }}
          fontFamily={font.body}
          fontSize={11}
          fill={color.soft}
        >
          {ticks.map((each) => (
            <g key={each}>
              <path d={`M${LEFT} ${y(each)}H${width - 6}`} stroke={color.line} />
              <text x={LEFT - 8} y={y(each) + 4} textAnchor="end">
                {told(each, unit)}
              </text>
            </g>
          ))}
          {momentsOf(from, to, width).map((at, index, all) => (
            <text
              key={at}
              x={x(at)}
              y={HEIGHT - 4}
              textAnchor={index === 0 ? 'start' : index === all.length - 1 ? 'end' : 'middle'}
            >
              {momentWord(at, to - from)}
            </text>
          ))}
          {inTime.map(({ at, what }) => (
            <path
              key={`${at} ${what}`}
              d={`M${x(at)} ${TOP}V${HEIGHT - BOTTOM}`}
              stroke={color.gold}
              strokeDasharray="2 3"
            />
          ))}
          {shown.map((line, index) =>
            pieces(line.points, stepMs).map((piece) => (
              <polyline
                key={`${line.name} ${piece[0]![0]}`}
                points={piece.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(' ')}
                fill="none"
                stroke={TINTS[index % TINTS.length]}
                strokeWidth={piece.length === 1 ? 3 : 1.5}
                strokeLinejoin="round"
                strokeLinecap="round"
              />
            )),
          )}
        </svg>
      )}
      <Legend lines={shown} hidden={lines.length - shown.length} unit={unit} />
    </View>
  );
}

function Legend({ lines, hidden, unit }: { lines: readonly Line[]; hidden: number; unit: Unit }) {
  if (!lines.some((each) => each.points.length)) return <Text style={text.faint}>No values in this time.</Text>;
  return (
    <View style={layout.wrap}>
      {lines.map((line, index) => (
        <View key={line.name} style={[layout.row, layout.fit]}>
          <View style={[graph.dot, { backgroundColor: TINTS[index % TINTS.length] }]} />
          <Text style={[text.small, layout.shrink]} numberOfLines={1}>
            {line.name || 'now'}{' '}
            <Text style={{ color: color.text }}>{told(line.points[line.points.length - 1]?.[1] ?? NaN, unit)}</Text>
          </Text>
        </View>
      ))}
      {hidden > 0 && <Text style={text.faint}>and {hidden} more, which are not drawn</Text>}
    </View>
  );
}

/** A few moments below the graph, as many as have room. */
function momentsOf(from: number, to: number, width: number): number[] {
  const parts = width < 420 ? 2 : 4;
  return Array.from({ length: parts + 1 }, (_, index) => from + ((to - from) * index) / parts);
}

function momentWord(at: number, spanMs: number): string {
  const moment = new Date(at);
  if (spanMs > 2 * 86_400_000) return moment.toLocaleDateString('en', { day: 'numeric', month: 'short' });
  return moment.toLocaleTimeString('en', { hour: '2-digit', minute: '2-digit', hour12: false });
}
