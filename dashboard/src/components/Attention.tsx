import { useState } from 'react';
import { Text, View } from 'react-native';

import { useLayout } from '../hooks/useLayout';
import { useNow } from '../hooks/useNow';
import { useMay } from '../hooks/useMay';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { enableManaged, keepKey, setCordoned } from '../utils/actions';
import type { Fix, Item } from '../utils/attention';
import { enableOrDisable, restartIt } from '../utils/careful';
import { go, pageOf } from '../utils/routes';
import { KEYS, SERVICES, WORKERS, type Kind } from '../utils/resources';
import { secondsSince, span } from '../utils/time';
import { Button } from './Button';
import { Sign } from './Sign';

const SHOWN = 6;

/** What needs a person: what it is, why, since when, and the button that helps. */
export function AttentionList({ items }: { items: readonly Item[] }) {
  const [all, setAll] = useState(false);
  const shown = all ? items : items.slice(0, SHOWN);
  return (
    <View>
      <View role="list" aria-label="What needs attention">
        {shown.map((item, index) => (
          <Row key={item.id} item={item} first={index === 0} />
        ))}
      </View>
      {items.length > SHOWN && (
        <Button look="bare" label={all ? 'Show fewer' : `Show all ${items.length}`} onPress={() => setAll(!all)} />
      )}
    </View>
  );
}

function Row({ item, first }: { item: Item; first: boolean }) {
  const now = useNow(1000);
  const { phone } = useLayout();
  return (
    <View role="listitem" style={[home.item, first && home.itemFirst, phone && home.itemPhone]}>
      <View style={[layout.row, { gap: 14, flex: phone ? undefined : 1, minWidth: 0, alignItems: 'flex-start' }]}>
        <View style={layout.besideText}>
          <Sign health={item.health} size={16} />
        </View>
        <View style={layout.grow}>
          <Text style={text.strong}>
            {item.what}
            {item.since ? (
              <Text style={text.faint}>
                {'  '}for {span(secondsSince(item.since, now))}
              </Text>
            ) : null}
          </Text>
          <Text style={text.soft}>{item.why}</Text>
        </View>
      </View>
      <View style={phone ? home.fixPhone : home.fix}>
        {item.fix && <FixButton fix={item.fix} first={first && item.health !== 'idle'} />}
      </View>
    </View>
  );
}

const CHANGES: Record<Fix['do'], Kind> = {
  enable: SERVICES,
  disable: SERVICES,
  restart: SERVICES,
  create: SERVICES,
  uncordon: WORKERS,
  keepKey: KEYS,
  look: SERVICES,
  goto: SERVICES,
};

/** Gold for the worst only: it is the thing to press first. Whoever may not change it is told who can. */
function FixButton({ fix, first }: { fix: Fix; first: boolean }) {
  const may = useMay(CHANGES[fix.do], fix.do === 'create' ? 'create' : 'patch');
  if (!may && fix.do !== 'look' && fix.do !== 'goto') {
    return <Text style={text.faint}>an {fix.do === 'uncordon' ? 'admin' : 'editor'} can fix this</Text>;
  }
  return <Button label={fix.label} look={first ? 'primary' : 'golden'} onPress={() => void run(fix)} />;
}

function run(fix: Fix): unknown {
  switch (fix.do) {
    case 'enable':
      return enableOrDisable(fix.service, true);
    case 'disable':
      return enableOrDisable(fix.service, false);
    case 'restart':
      return restartIt(fix.service);
    case 'create':
      return enableManaged(fix.managed, undefined);
    case 'uncordon':
      return setCordoned(fix.worker, false);
    case 'keepKey':
      return keepKey(fix.key);
    case 'goto':
      return go(fix.to);
    case 'look':
      return go(pageOf(fix.kind === 'services' ? SERVICES : WORKERS, fix.resource, fix.tab));
  }
}
