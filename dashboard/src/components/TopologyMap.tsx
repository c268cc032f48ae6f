import { useState } from 'react';
import { ScrollView, Text, View } from 'react-native';

import { text } from '../styles/text';
import { color, font } from '../styles/tokens';
import { go, pageOf } from '../utils/routes';
import { SERVICES, type Service } from '../utils/resources';
import { GATEWAY, type Edge, type Graph, type Node } from '../utils/topology';
import { ejections, errorShare, flowTo, perSecond, type Flow } from '../utils/traffic';

const BOX = { width: 164, height: 40, gapX: 44, gapY: 9 };
const PAD = 6;
/** How far it may shrink before it scrolls instead. */
const SMALLEST = 0.86;

interface Props {
  graph: Graph;
  services: readonly Service[];
  flows: readonly Flow[];
}

/** Gateway → services → what they need. Lines move where requests do; numbers say how many, and how many fail. */
export function TopologyMap({ graph, services, flows }: Props) {
  const [over, setOver] = useState<string | null>(null);
  const width = graph.columns * (BOX.width + BOX.gapX) - BOX.gapX + PAD * 2;
  const height = graph.rows * (BOX.height + BOX.gapY) - BOX.gapY + PAD * 2;
  const at = new Map(graph.nodes.map((node) => [node.id, node]));
  const between = new Map(flows.map((each) => [`${each.from || GATEWAY}>${each.to}`, each]));
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
              flow={between.get(`${edge.from}>${edge.to}`)}
              at={at}
              lit={over === edge.from || over === edge.to}
              dim={over !== null}
            />
          ))}
          {graph.nodes.map((node) => (
            <Box
              key={node.id}
              node={node}
              flow={node.id === GATEWAY ? through(flows) : flowTo(node.id, flows)}
              lit={over === node.id}
              onOver={setOver}
              onOpen={open}
            />
          ))}
        </svg>
      </ScrollView>
      {graph.hidden > 0 && <Text style={[text.faint, { paddingTop: 10 }]}>and {graph.hidden} more</Text>}
    </View>
  );
}

/** All that people and their tools ask. */
function through(flows: readonly Flow[]): Pick<Flow, 'rate' | 'errorRate'> {
  const outside = flows.filter((each) => each.from === '');
  return {
    rate: outside.reduce((sum, each) => sum + each.rate, 0),
    errorRate: outside.reduce((sum, each) => sum + each.errorRate, 0),
  };
}

function corner(node: Node): { x: number; y: number } {
  return { x: PAD + node.column * (BOX.width + BOX.gapX), y: PAD + node.row * (BOX.height + BOX.gapY) };
}

interface WireProps {
  edge: Edge;
  flow: Flow | undefined;
  at: Map<string, Node>;
  lit: boolean;
  dim: boolean;
}

function Wire({ edge, flow, at, lit, dim }: WireProps) {
  const [a, b] = [at.get(edge.from), at.get(edge.to)];
  if (!a || !b) return null;
  const failing = (flow?.errorRate ?? 0) > 0;
  const still = lit ? color.gold : edge.alive ? color.lineStrong : color.bad;
  const d = curve(a, b);
  const rate = flow?.rate ? `${perSecond(flow.rate)}${failing ? `, ${errorShare(flow)}` : ''}` : 'no requests now';
  const told = [rate, ejections(flow)].filter(Boolean).join('; ');
  return (
    <g opacity={dim && !lit ? 0.25 : 1}>
      <title>{`${edge.from} → ${edge.to}: ${told}`}</title>
      <path
        d={d}
        fill="none"
        stroke={still}
        strokeWidth="1"
        strokeOpacity={lit ? 1 : 0.62}
        strokeDasharray={edge.alive ? undefined : '2 5'}
      />
      {flow && flow.rate > 0 && (
        <path
          className={flow.rate > 10 ? 'flow fast' : 'flow'}
          d={d}
          fill="none"
          stroke={failing ? color.bad : lit ? color.goldBright : color.well}
          strokeWidth={flow.rate > 10 ? 2 : 1.5}
        />
      )}
    </g>
  );
}

/** Forwards from side to side; backwards or within a column around the right. */
function curve(a: Node, b: Node): string {
  const [from, to] = [corner(a), corner(b)];
  const x1 = from.x + BOX.width;
  const y1 = from.y + BOX.height / 2;
  const y2 = to.y + BOX.height / 2;
  const bend = BOX.gapX * 0.55;
  if (a.column < b.column) return `M${x1} ${y1} C${x1 + bend} ${y1} ${to.x - bend} ${y2} ${to.x} ${y2}`;
  const x2 = to.x + BOX.width;
  const out = Math.max(x1, x2) + bend * 0.8;
  return `M${x1} ${y1} C${out} ${y1} ${out} ${y2} ${x2} ${y2}`;
}

interface BoxProps {
  node: Node;
  flow: Pick<Flow, 'rate' | 'errorRate'> | undefined;
  lit: boolean;
  onOver: (id: string | null) => void;
  onOpen: (id: string) => void;
}

const WORDS = {
  well: 'ready',
  busy: 'changing',
  warn: 'needs a look',
  bad: 'failed',
  idle: 'off',
  unknown: 'unknown',
};

function Box({ node, flow, lit, onOver, onOpen }: BoxProps) {
  const { x, y } = corner(node);
  const gate = node.id === GATEWAY;
  const asked = Boolean(flow && flow.rate > 0);
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
      aria-description={gate ? undefined : WORDS[node.health]}
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
        y={y + (asked ? 16.5 : BOX.height / 2 + 4)}
        fill={gate ? color.goldBright : color.text}
        fontFamily={font.body}
        fontSize="12"
        letterSpacing={gate ? 1.4 : 0}
      >
        {clipped(node.label)}
      </text>
      {flow && asked && <Rate flow={flow} x={x + 14} y={y + 31} />}
      {!gate && <Glyph node={node} x={x + BOX.width - 12} y={y + (asked ? 12.5 : BOX.height / 2)} />}
    </g>
  );
}

function Rate({ flow, x, y }: { flow: Pick<Flow, 'rate' | 'errorRate'>; x: number; y: number }) {
  const errors = errorShare(flow);
  return (
    <text x={x} y={y} fill={color.faint} fontFamily={font.body} fontSize="11" data-testid="rate">
      {perSecond(flow.rate)}
      {errors && <tspan fill={color.bad}>{`  ✕ ${errors}`}</tspan>}
    </text>
  );
}

function clipped(label: string): string {
  return label.length > 18 ? `${label.slice(0, 17)}…` : label;
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
