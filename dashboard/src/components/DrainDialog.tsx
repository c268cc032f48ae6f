import { useEffect, useRef, useState } from 'react';
import { Text, View } from 'react-native';

import { useResources } from '../hooks/useResources';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { copiesOn, drain, type Move } from '../utils/draining';
import type { Health } from '../utils/health';
import { SERVICES, type Service, type Worker } from '../utils/resources';
import { Button } from './Button';
import { Dialog } from './Dialog';
import { StatusMark } from './StatusMark';

const SIGNS: Record<Move['state'], [Health, string]> = {
  waiting: ['idle', 'Waits'],
  moving: ['busy', 'Moves'],
  moved: ['well', 'Moved'],
  stays: ['bad', 'Stays'],
};

/** Moves everything off a machine, one instance after the other, and shows how far it is. */
export function DrainDialog({ worker, onClose }: { worker: Worker; onClose: () => void }) {
  const services = useResources<Service>(SERVICES).items;
  const [moves, setMoves] = useState<Move[] | null>(null);
  const [done, setDone] = useState(false);
  const stopping = useRef(new AbortController());
  useEffect(() => () => stopping.current.abort(), []);
  const name = worker.metadata.name;
  const here = copiesOn(name, services);
  const go = async () => {
    stopping.current = new AbortController();
    setMoves([]);
    setDone(false);
    await drain(worker, setMoves, stopping.current.signal);
    setDone(true);
  };
  const left = moves?.filter((each) => each.state === 'stays').length ?? 0;
  return (
    <Dialog title={`Drain ${name}`} onClose={onClose}>
      {moves === null ? (
        <Text style={text.body}>
          Nothing new is placed on {name}.{' '}
          {here.length
            ? `What runs there (${here.length}) starts again elsewhere, one after the other, so that its services go on.`
            : 'Nothing runs there that would have to move.'}
        </Text>
      ) : (
        <Moves moves={moves} />
      )}
      {done && <Told name={name} left={left} />}
      <View style={[layout.row, { justifyContent: 'flex-end' }]}>
        <Button label={moves && !done ? 'Stop after this one' : 'Close'} onPress={onClose} />
        {(moves === null || (done && left > 0)) && (
          <Button label={moves ? 'Try again' : 'Drain it'} look="primary" onPress={() => void go()} id="drain" />
        )}
      </View>
    </Dialog>
  );
}

function Moves({ moves }: { moves: readonly Move[] }) {
  return (
    <View role="list" aria-label="Instances that move" style={layout.stack}>
      {moves.map(({ copy, state, because }) => (
        <View key={`${copy.namespace}/${copy.name}`} role="listitem" style={layout.tight}>
          <View style={layout.between}>
            <Text style={text.body}>{copy.name}</Text>
            <StatusMark health={SIGNS[state][0]} word={SIGNS[state][1]} />
          </View>
          {because ? <Text style={text.small}>{because}</Text> : null}
        </View>
      ))}
    </View>
  );
}

function Told({ name, left }: { name: string; left: number }) {
  return (
    <Text style={text.body} role="status">
      {left
        ? `${left} could not leave ${name}. It stays cordoned; join another machine or make room, then try again.`
        : `Nothing runs on ${name} any more. It can be repaired, or removed; uncordon it to use it again.`}
    </Text>
  );
}
