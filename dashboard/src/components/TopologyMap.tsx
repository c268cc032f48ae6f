import { useState } from 'react';
import { ScrollView, Text, View } from 'react-native';

import { text } from '../styles/text';
import { color, font } from '../styles/tokens';
import { go, pageOf } from '../utils/routes';
import { SERVICES, type Service } from '../utils/resources';
import { GATEWAY, type Edge, type Graph, type Node } from '../utils/topology';

const BOX = { width: 168, height: 32, gapX: 46, gapY: 11 };
const PAD = 6;
/** How far it may shrink before it scrolls instead. */
const SMALLEST = 0.86;

/** Gateway → services → what they need, alive: requests flow along the lines of what is ready. */
export function TopologyMap({ graph, services }: { graph: Graph; services: readonly Service[] }) {
  const [over, setOver] = useState<string | null>(null);
  const width = graph.columns * (BOX.width + BOX.gapX) - BOX.gapX + PAD * 2;
  const height = graph.rows * (BOX.height + BOX.gapY) - BOX.gapY + PAD * 2;
  const at = new Map(graph.nodes.map((node) => [node.id, node]));
  const open = (name: string) => {
    const service = services.find((each) => each.metadata.name === name);
    if (service) go(pageOf(SERVICES, service));
  };
  return (
    <View>
      <ScrollView
        horizontal
        contentContainerStyle={{ flexGrow: 1 }}
        tabIndex={0}
        role="group"
        aria-label="Topology, scrolls sideways"
      >
        <svg
          viewBox={`0 0 ${width} ${height}`}
          role="group"
          aria-label="Which service needs which"
          style={{ display: 'block', width: '100%', minWidth: width * SMALLEST, maxHeight: height }}
        >
          {graph.edges.map((edge) => (
            <Wire
              key={`${edge.from}>${edge.to}`}
              edge={edge}
              at={at}
              lit={over === edge.from || over === edge.to}
              dim={over !== null}
            />
          ))}
          {graph.nodes.map((node) => (
            <Box key={node.id} node={node} lit={over === node.id} onOver={setOver} onOpen={open} />
          ))}
        </svg>
      </ScrollView>
      {graph.hidden > 0 && <Text style={[text.faint, { paddingTop: 10 }]}>and {graph.hidden} more</Text>}
    </View>
  );
}

function corner(node: Node): { x: number; y: number } {
  return { x: PAD + node.column * (BOX.width + BOX.gapX), y: PAD + node.row * (BOX.height + BOX.gapY) };
}

function Wire({ edge, at, lit, dim }: { edge: Edge; at: Map<string, Node>; lit: boolean; dim: boolean }) {
  const [a, b] = [at.get(edge.from), at.get(edge.to)];
  if (!a || !b) return null;
  const [from, to] = [corner(a), corner(b)];
  const x1 = from.x + BOX.width;
  const y1 = from.y + BOX.height / 2;
  const y2 = to.y + BOX.height / 2;
  const bend = BOX.gapX * 0.55;
  const d = `M${x1} ${y1} C${x1 + bend} ${y1} ${to.x - bend} ${y2} ${to.x} ${y2}`;
  const still = lit ? color.gold : edge.alive ? '#3a4150' : color.bad;
  return (
    <g opacity={dim && !lit ? 0.3 : 1}>
      <path
        d={d}
        fill="none"
        stroke={still}
        strokeWidth="1"
        strokeOpacity={edge.alive || lit ? 1 : 0.7}
        strokeDasharray={edge.alive ? undefined : '2 5'}
      />
      {edge.alive && (
        <path
          className="flow"
          d={d}
          fill="none"
          stroke={lit ? color.goldBright : color.well}
          strokeWidth="1.2"
          strokeOpacity="0.55"
        />
      )}
    </g>
  );
}

interface BoxProps {
  node: Node;
  lit: boolean;
  onOver: (id: string | null) => void;
  onOpen: (id: string) => void;
}

function Box({ node, lit, onOver, onOpen }: BoxProps) {
  const { x, y } = corner(node);
  const gate = node.id === GATEWAY;
  const word = {
    well: 'ready',
    busy: 'changing',
    warn: 'needs a look',
    bad: 'failed',
    idle: 'off',
    unknown: 'unknown',
  }[node.health];
  const press = gate
    ? {}
    : {
        role: 'link',
        tabIndex: 0,
        onClick: () => onOpen(node.id),
        onKeyDown: (event: { key: string }) => event.key === 'Enter' && onOpen(node.id),
      };
  return (
    <g
      {...press}
      aria-description={gate ? undefined : word}
      style={{ cursor: gate ? 'default' : 'pointer' }}
      onMouseEnter={() => onOver(node.id)}
      onMouseLeave={() => onOver(null)}
      onFocus={() => onOver(node.id)}
      onBlur={() => onOver(null)}
    >
      <rect
        x={x}
        y={y}
        width={BOX.width}
        height={BOX.height}
        rx="2"
        fill={lit ? color.lifted : color.ground}
        stroke={gate ? color.goldDim : lit ? color.gold : color.line}
      />
      <rect x={x} y={y} width="2.5" height={BOX.height} fill={gate ? color.gold : color[node.health]} />
      <text
        x={x + 14}
        y={y + BOX.height / 2 + 4}
        fill={gate ? color.goldBright : color.text}
        fontFamily={font.body}
        fontSize="12"
        letterSpacing={gate ? 1.4 : 0}
      >
        {clipped(node.label)}
      </text>
      {!gate && <Glyph node={node} x={x + BOX.width - 12} y={y + BOX.height / 2} />}
    </g>
  );
}

function clipped(label: string): string {
  return label.length > 17 ? `${label.slice(0, 16)}…` : label;
}

/** A shape or the count, never colour alone. */
function Glyph({ node, x, y }: { node: Node; x: number; y: number }) {
  const sign = { well: node.ready, busy: '◌', warn: '▲', bad: '✕', idle: '–', unknown: '?' }[node.health];
  return (
    <text
      x={x}
      y={y + 4}
      textAnchor="end"
      aria-hidden={node.health !== 'well'}
      fill={color[node.health]}
      fontFamily={font.body}
      fontSize="11"
    >
      {sign}
    </text>
  );
}
