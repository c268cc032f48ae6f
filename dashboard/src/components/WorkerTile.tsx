import { memo } from 'react';
import { Text, View } from 'react-native';

import { useBeat } from '../hooks/useBeats';
import { useLayout } from '../hooks/useLayout';
import { useNow } from '../hooks/useNow';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { workerHealth, workerWord } from '../utils/health';
import { amount, bytes, cores, share } from '../utils/quantities';
import { pageOf } from '../utils/routes';
import { WORKERS, type Worker } from '../utils/resources';
import { secondsSince, span } from '../utils/time';
import { Link } from './Link';
import { Meter } from './Meter';
import { StatusMark } from './StatusMark';

/** One machine: what it has, what it uses now, when it was last heard. */
export const WorkerTile = memo(PlainTile);

function PlainTile({ worker }: { worker: Worker }) {
  const health = workerHealth(worker);
  const { phone } = useLayout();
  return (
    <Link
      to={pageOf(WORKERS, worker)}
      style={({ hovered }) => [home.tile, phone && home.tilePhone, hovered && home.tileHover]}
    >
      <Text style={text.strong} numberOfLines={1}>
        {worker.metadata.name}
      </Text>
      <Usage worker={worker} brief />
      <View style={layout.between}>
        <StatusMark health={health} word={workerWord(worker)} />
        <LeaseAge worker={worker} brief />
      </View>
    </Link>
  );
}

/** CPU, memory and disk: live when a heartbeat is known, else what the record says. `brief`: only percents. */
export function Usage({ worker, brief = false }: { worker: Worker; brief?: boolean }) {
  const beat = useBeat(worker.metadata.name);
  const has = worker.status?.capacity ?? {};
  const uses = worker.status?.usage ?? {};
  const cpu = beat?.usage.cpu ?? amount(uses.cpu);
  const memory = beat?.usage.memory ?? amount(uses.memory);
  const disk = beat?.usage.disk ?? amount(uses.disk);
  return (
    <View style={layout.close}>
      <Meter
        label="CPU"
        part={cpu}
        whole={amount(has.cpu)}
        told={brief ? percent(cpu, amount(has.cpu)) : `${cores(cpu)} / ${cores(amount(has.cpu))}`}
        brief={brief}
      />
      <Meter
        label="RAM"
        part={memory}
        whole={amount(has.memory)}
        told={brief ? percent(memory, amount(has.memory)) : of(memory, amount(has.memory))}
        brief={brief}
      />
      <Meter
        label="Disk"
        part={disk}
        whole={amount(has.disk)}
        told={brief ? percent(disk, amount(has.disk)) : of(disk, amount(has.disk))}
        brief={brief}
      />
    </View>
  );
}

function percent(part: number, whole: number): string {
  return whole > 0 ? `${Math.round(share(part, whole) * 100)} %` : '–';
}

/** `21.4 / 64 GiB`: one unit for both. */
function of(part: number, whole: number): string {
  const [number = '0', unit = 'B'] = bytes(whole).split(' ');
  const factor = 1024 ** ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'].indexOf(unit);
  const value = part / factor;
  return `${value >= 100 ? Math.round(value) : value.toFixed(1)} / ${number.replace('.0', '')} ${unit}`;
}

/** When it was last heard. `brief`: for narrow places. */
export function LeaseAge({ worker, brief = false }: { worker: Worker; brief?: boolean }) {
  const beat = useBeat(worker.metadata.name);
  const now = useNow(1000);
  if (!beat && brief) return null;
  const silent = workerHealth(worker) === 'bad';
  if (!beat) return <Text style={text.faint}>{silent ? 'none' : 'waiting'}</Text>;
  const age = span(secondsSince(beat.heardAt, now));
  return (
    <Text style={[text.faint, { fontVariant: ['tabular-nums'] }]} numberOfLines={1}>
      {brief ? age : `${age} ago`}
    </Text>
  );
}
