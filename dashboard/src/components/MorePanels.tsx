import type { ComponentType } from 'react';

import { lazily } from '../utils/lazily';
import {
  DATABASES,
  isSame,
  QUEUES,
  SCHEDULES,
  TOPICS,
  WEBHOOK_ENDPOINTS,
  type Kind,
  type Resource,
} from '../utils/resources';

interface Props {
  resource: Resource;
}

const PANELS: readonly [Kind, ComponentType<Props>][] = [
  [DATABASES, lazily(() => import('./DatabasePanels'), 'DatabasePanels')],
  [QUEUES, lazily(() => import('./QueuePanels'), 'QueuePanels')],
  [TOPICS, lazily(() => import('./TopicPanels'), 'TopicPanels')],
  [SCHEDULES, lazily(() => import('./SchedulePanels'), 'SchedulePanels')],
  [WEBHOOK_ENDPOINTS, lazily(() => import('./WebhookPanels'), 'WebhookPanels')],
];

/** What a kind shows beside what every kind has; nothing for most. */
export function MorePanels({ kind, resource }: Props & { kind: Kind }) {
  const Found = PANELS.find(([each]) => isSame(each, kind))?.[1];
  return Found ? <Found key={resource.metadata.uid} resource={resource} /> : null;
}
