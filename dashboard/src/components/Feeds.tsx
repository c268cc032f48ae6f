import { Text, View } from 'react-native';

import { useNow } from '../hooks/useNow';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import type { Step } from '../utils/changes';
import { pageOf } from '../utils/routes';
import type { Event } from '../utils/resources';
import { ago, clockTime } from '../utils/time';
import { Empty } from './Empty';
import { Sign } from './Sign';
import { TextLink } from './TextLink';

/** What the cloud told, newest first. */
export function EventFeed({ events, most }: { events: readonly Event[]; most: number }) {
  const shown = [...events].sort((a, b) => (momentOf(a) < momentOf(b) ? 1 : -1)).slice(0, most);
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

function momentOf(event: Event): string {
  return event.lastTimestamp ?? event.metadata.creationTimestamp ?? '';
}

/** What people and services wished differently, newest first, from the store's own history. */
export function ChangeFeed({ steps, most }: { steps: readonly Step[]; most: number }) {
  const now = useNow(5000);
  if (steps.length === 0)
    return <Empty title="No change in the kept history" next="What is created, changed or deleted appears here." />;
  return (
    <View role="list">
      {steps.slice(0, most).map((step, index) => (
        <View key={step.id} role="listitem" style={[home.feedRow, index === 0 && home.itemFirst]}>
          <View style={layout.grow}>
            <View style={layout.between}>
              <View style={[layout.row, layout.shrink]}>
                <Text style={text.faint}>{step.kind.kind}</Text>
                {step.verb === 'deleted' ? (
                  <Text style={text.small}>{step.name}</Text>
                ) : (
                  <TextLink to={pageOf(step.kind, step.resource)} strong={false}>
                    {step.name}
                  </TextLink>
                )}
                <Text style={text.faint}>{step.verb}</Text>
              </View>
              <Text style={text.faint}>{ago(step.at, now)}</Text>
            </View>
            {step.what.slice(0, 3).map((each) => (
              <Text key={each} style={text.small}>
                {each}
              </Text>
            ))}
          </View>
        </View>
      ))}
    </View>
  );
}
