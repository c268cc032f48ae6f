import { memo, useEffect, useMemo, useRef, useState } from 'react';
import { Text, View } from 'react-native';

import { useLayout } from '../hooks/useLayout';
import { useLogs } from '../hooks/useLogs';
import { detail } from '../styles/detail';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { color } from '../styles/tokens';
import type { LogLine } from '../utils/logs';
import { Button } from './Button';
import { Choice, Search } from './Field';
import { StatusMark } from './StatusMark';

const DRAWN = 600;
const LEVELS = [
  { value: 'all', name: 'All' },
  { value: 'warning', name: 'Warnings' },
  { value: 'error', name: 'Errors' },
] as const;

/** The log of a service as it is written, with search. It follows the end until somebody scrolls up. */
export function LogView({
  namespace,
  service,
  instances,
}: {
  namespace: string;
  service: string;
  instances: readonly string[];
}) {
  const [instance, setInstance] = useState('');
  const { lines, state, error } = useLogs(namespace, service, instance);
  const [wanted, setWanted] = useState('');
  const [level, setLevel] = useState<(typeof LEVELS)[number]['value']>('all');
  const shown = useMemo(() => matching(lines, wanted, level), [lines, wanted, level]);
  const choices = [{ value: '', name: 'All copies' }, ...instances.map((name) => ({ value: name, name }))];
  return (
    <View style={layout.stack}>
      <View style={[layout.between, { flexWrap: 'wrap' }]}>
        <View style={[layout.wrap, layout.fit]}>
          <Search value={wanted} onChange={setWanted} what="in the log" />
          <Choice label="Level" options={LEVELS} chosen={level} onChoose={setLevel} />
        </View>
        <StatusMark
          health={state === 'live' ? 'well' : state === 'refused' ? 'bad' : 'busy'}
          word={state === 'live' ? 'Following' : state === 'refused' ? 'Refused' : 'Connecting'}
        />
      </View>
      {instances.length > 1 && <Choice label="Copy" options={choices} chosen={instance} onChoose={setInstance} />}
      <Lines lines={shown.slice(-DRAWN)} wanted={wanted} empty={error ?? emptyWords(lines.length, wanted)} />
      <Text style={text.faint} aria-live="polite">
        {wanted || level !== 'all' ? `${shown.length} of ${lines.length} lines match` : `${lines.length} lines`}
      </Text>
    </View>
  );
}

function emptyWords(lines: number, wanted: string): string {
  if (lines === 0) return 'Nothing has been written yet. New lines appear here by themselves.';
  return wanted ? `No line holds “${wanted}”.` : 'No line of that level.';
}

function matching(lines: readonly LogLine[], wanted: string, level: string): readonly LogLine[] {
  const low = wanted.toLowerCase();
  return lines.filter(
    (line) =>
      (level === 'all' || line.level === 'error' || line.level === level) && line.raw.toLowerCase().includes(low),
  );
}

function Lines({ lines, wanted, empty }: { lines: readonly LogLine[]; wanted: string; empty: string }) {
  const { phone } = useLayout();
  const frame = useRef<HTMLElement>(null);
  const [following, setFollowing] = useState(true);
  useEffect(() => {
    const element = frame.current;
    if (!element) return undefined;
    const look = () => setFollowing(element.scrollHeight - element.scrollTop - element.clientHeight < 30);
    element.addEventListener('scroll', look, { passive: true });
    return () => element.removeEventListener('scroll', look);
  }, []);
  useEffect(() => {
    if (following && frame.current) frame.current.scrollTop = frame.current.scrollHeight;
  }, [lines, following]);
  return (
    <View>
      <View
        ref={frame}
        role="log"
        tabIndex={0}
        aria-label="Log"
        testID="log"
        style={[detail.log, phone && detail.logPhone, { overflowY: 'auto', display: 'block' }]}
      >
        {lines.length === 0 && <Text style={[text.soft, { padding: 16 }]}>{empty}</Text>}
        {lines.map((line) => (
          <Line key={line.number} line={line} wanted={wanted} phone={phone} />
        ))}
      </View>
      {!following && (
        <View style={detail.toEnd}>
          <Button label="To the end" icon="down" look="primary" onPress={() => setFollowing(true)} />
        </View>
      )}
    </View>
  );
}

const TINT = { error: color.bad, warning: color.warn, info: color.text, debug: color.faint };

/** Written once: of six hundred lines only the new ones are drawn. */
const Line = memo(PlainLine);

function PlainLine({ line, wanted, phone }: { line: LogLine; wanted: string; phone: boolean }) {
  return (
    <View style={detail.logLine}>
      {!phone && <Text style={detail.logTime}>{line.time}</Text>}
      {(line.level === 'error' || line.level === 'warning') && (
        <Text style={[detail.logTime, { color: TINT[line.level] }]}>{line.level === 'error' ? 'ERROR' : 'WARN'}</Text>
      )}
      <Text style={[detail.logText, { color: TINT[line.level] }]}>{marked(line.text, wanted)}</Text>
    </View>
  );
}

/** The text with what was searched for marked. */
function marked(line: string, wanted: string) {
  if (!wanted) return line;
  const parts = line.split(new RegExp(`(${wanted.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')})`, 'gi'));
  return parts.map((part, index) =>
    part.toLowerCase() === wanted.toLowerCase() ? (
      <Text key={index} style={detail.found}>
        {part}
      </Text>
    ) : (
      part
    ),
  );
}
