import { useState, type ReactNode } from 'react';
import { View } from 'react-native';

import { useResources } from '../hooks/useResources';
import { useMay } from '../hooks/useMay';
import { useQuery } from '../hooks/useQuery';
import { useWish } from '../hooks/useWish';
import { layout } from '../styles/layout';
import { asList } from '../utils/copyas';
import { newestFirst } from '../utils/events';
import { EVENTS, isSame, type Kind, type Resource } from '../utils/resources';
import { Button } from './Button';
import { CopyAs } from './CopyAs';
import type { Column } from './DataTable';
import { Empty, Failed } from './Empty';
import { Search } from './Field';
import { KindTable } from './KindTable';
import { Loading } from './Loading';
import { NewDialog } from './NewDialog';
import { Panel } from './Panel';
import { ScreenHead } from './ScreenHead';

interface Props {
  kind: Kind;
  title: string;
  /** The title is the name of a kind, as the API has it. */
  named?: boolean;
  about: string;
  /** What to do when there is none. */
  next: string;
  extra?: readonly Column<Resource>[];
  /** Instead of the editor, where a kind deserves its own form. */
  onNew?: () => void;
  above?: ReactNode;
}

/** The screen of any kind: find, look, make. */
export function KindScreen({ kind, title, named, about, next, extra, onNew, above }: Props) {
  const { items, state, error } = useResources(kind);
  const may = useMay(kind, 'create') && kind.plural !== 'events' && (kind.verbs ?? ['create']).includes('create');
  const [wanted, setWanted] = useQuery('q');
  const [making, setMaking] = useState(false);
  useWish('new', onNew ?? (() => setMaking(true)), may);
  if (state === 'loading') return <Loading what={kind.plural} />;
  if (state === 'refused') return <Failed error={error} />;
  const ordered = isSame(kind, EVENTS) ? newestFirst(items) : items;
  const shown = ordered.filter((each) =>
    JSON.stringify([each.metadata.name, each.status?.aliases, each.metadata.labels, each.spec])
      .toLowerCase()
      .includes(wanted.toLowerCase()),
  );
  return (
    <>
      <ScreenHead title={title} named={named} about={about}>
        <CopyAs copies={asList(kind)} resources={items} />
        {may && (
          <Button
            label={`New ${kind.kind.toLowerCase()}`}
            icon="plus"
            look="primary"
            onPress={onNew ?? (() => setMaking(true))}
            id="new"
          />
        )}
      </ScreenHead>
      {above}
      <View style={layout.row}>
        <Search value={wanted} onChange={setWanted} what={kind.plural} />
      </View>
      <Panel flush>
        {shown.length ? (
          <KindTable kind={kind} rows={shown} extra={extra} question={wanted} />
        ) : (
          <Empty
            title={items.length ? `None of the ${items.length} matches` : `There is no ${kind.kind.toLowerCase()} yet`}
            next={items.length ? 'Search for something else.' : next}
          >
            {may && !items.length && (
              <Button
                label={`New ${kind.kind.toLowerCase()}`}
                look="primary"
                onPress={onNew ?? (() => setMaking(true))}
              />
            )}
          </Empty>
        )}
      </Panel>
      {making && <NewDialog kind={kind} onClose={() => setMaking(false)} />}
    </>
  );
}
