import { Text, View } from 'react-native';

import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import type { Event } from '../utils/resources';
import { momentOf, newestFirst } from '../utils/events';
import { clockTime } from '../utils/time';
import { Empty } from './Empty';
import { Sign } from './Sign';

/** What the cloud told, newest first. */
export function EventFeed({ events, most }: { events: readonly Event[]; most: number }) {
  const shown = newestFirst(events).slice(0, most);
  if (shown.length === 0)
    return <Empty title="Nothing happened in the last hour" next="Events appear here by themselves." />;
  return (
    <View role="list">
      {shown.map((event, index) => (
        <View
          key={event.metadata.uid ?? event.metadata.name}
          role="listitem"
          style={[home.feedRow, index === 0 && home.itemFirst]}
        >
          <Text style={home.feedTime}>{clockTime(momentOf(event))}</Text>
          <View style={home.feedMark}>
            <Sign health={event.type === 'Warning' ? 'warn' : 'well'} size={12} />
          </View>
          <View style={layout.grow}>
            <Text style={text.small}>{event.message}</Text>
            <Text style={text.faint}>
              {event.reason}
              {(event.count ?? 1) > 1 ? ` · ${event.count} times` : ''}
            </Text>
          </View>
        </View>
      ))}
    </View>
  );
}
