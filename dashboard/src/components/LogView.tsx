import { memo, useEffect, useMemo, useRef, useState } from 'react';
import { Text, View } from 'react-native';

import { useLayout } from '../hooks/useLayout';
import { useLogs } from '../hooks/useLogs';
import { useQuery, useQueryChoice } from '../hooks/useQuery';
import { detail } from '../styles/detail';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { color } from '../styles/tokens';
import { inWords } from '../utils/errors';
import { downloadLog, searchLog, type Found, type LogPlace } from '../utils/logSearch';
import type { LogLine } from '../utils/logs';
import { momentTold } from '../utils/time';
import { say } from '../utils/toasts';
import { Button } from './Button';
import { Choice, Search } from './Field';
import { StatusMark } from './StatusMark';

const DRAWN = 600;
const LEVELS = [
  { value: 'all', name: 'All' },
  { value: 'warning', name: 'Warnings' },
  { value: 'error', name: 'Errors' },
] as const;
const SHOWN = LEVELS.map(({ value }) => value);

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
  const [instance, setInstance] = useQuery('instance');
  const { lines, state, error } = useLogs(namespace, service, instance);
  const [wanted, setWanted] = useQuery('q');
  const [level, setLevel] = useQueryChoice('level', SHOWN);
  const place = { namespace, service, instance };
  const { found, search, forget } = useLogSearch(place, wanted);
  const kept = found?.lines ?? lines;
  const shown = useMemo(() => matching(kept, wanted, level), [kept, wanted, level]);
  const choices = [{ value: '', name: 'All instances' }, ...instances.map((name) => ({ value: name, name }))];
  const narrowed = wanted !== '' || level !== 'all';
  return (
    <View style={layout.stack}>
      <View style={[layout.between, { flexWrap: 'wrap' }]}>
        <View style={[layout.wrap, layout.fit]}>
          <Search value={wanted} onChange={setWanted} what="in the log" />
          <Choice label="Level" options={LEVELS} chosen={level} onChoose={setLevel} />
          <Button label="Download" icon="down" onPress={() => void downloadLog(place).catch(notDownloaded)} />
        </View>
        <State state={state} searched={found !== null} />
      </View>
      {instances.length > 1 && <Choice label="Instance" options={choices} chosen={instance} onChoose={setInstance} />}
      <Lines lines={shown.slice(-DRAWN)} wanted={wanted} empty={error ?? emptyWords(kept.length, wanted)} />
      <View style={[layout.between, { flexWrap: 'wrap' }]}>
        <Text style={[text.faint, layout.shrink]} aria-live="polite" testID="log-reach">
          {found ? reachWords(found, shown.length) : countWords(shown.length, lines.length, narrowed)}
        </Text>
        {found ? (
          <Button label="Back to the live log" onPress={forget} />
        ) : (
          wanted !== '' && <Button label="Search all kept lines" look="primary" onPress={search} id="search-log" />
        )}
      </View>
    </View>
  );
}

function State({ state, searched }: { state: 'connecting' | 'live' | 'refused'; searched: boolean }) {
  if (searched) return <StatusMark health="idle" word="Search result" />;
  const health = { live: 'well', refused: 'bad', connecting: 'busy' } as const;
  const word = { live: 'Following', refused: 'Refused', connecting: 'Connecting' };
  return <StatusMark health={health[state]} word={word[state]} />;
}

/** What a search of everything kept has found; another word begins anew. */
function useLogSearch(place: LogPlace, wanted: string) {
  const [result, setResult] = useState<{ of: string; found: Found } | null>(null);
  const question = JSON.stringify([place, wanted]);
  const search = () =>
    void searchLog(place, wanted).then(
      (found) => setResult({ of: question, found }),
      (error: unknown) => say('bad', `Not searched: ${inWords(error).what}`, inWords(error).next),
    );
  return { found: result?.of === question ? result.found : null, search, forget: () => setResult(null) };
}

function countWords(shown: number, lines: number, narrowed: boolean): string {
  return narrowed ? `${shown} of the newest ${lines} lines match` : `${lines} lines`;
}

function reachWords({ searched, since, cut }: Found, shown: number): string {
  const back = since ? `, back to ${momentTold(since, Date.now())}` : '';
  return `${cut ? 'The newest ' : ''}${shown} lines match, of ${searched} kept${back}`;
}

function notDownloaded(error: unknown): void {
  say('bad', `Not downloaded: ${inWords(error).what}`, inWords(error).next);
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
          <Button label="Follow" icon="down" look="primary" onPress={() => setFollowing(true)} />
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
