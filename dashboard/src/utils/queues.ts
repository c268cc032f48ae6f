/** Queues of AWS SQS and topics of SNS: what their resources say in words, and what is asked of their service. */
import { attempt } from './actions';
import { ask, raw } from './api';
import { pathSpeaking } from './catalog';
import type { Health } from './health';
import type { Resource } from './resources';
import { say } from './toasts';

/** A message as somebody sees it who does not receive it. Moments are RFC 3339. */
export interface SeenMessage {
  id: string;
  state: 'Visible' | 'InFlight' | 'Delayed';
  /** Its beginning; the whole of it has `bytes`. */
  body: string;
  bytes: number;
  sentAt: string;
  receives: number;
  attributes: Record<string, { type: string; text?: string; bytes?: number }>;
  visibleAt?: string;
  group?: string;
  sender?: string;
  failedIn?: string;
}

export interface Look {
  messages: SeenMessage[];
  visible: number;
  inFlight: number;
  delayed: number;
}

/** Dead letters that failed in the same queue for the same reason. */
export interface Failure {
  source: string;
  code: string;
  messages: number;
  oldest: string;
}

export interface MoveTask {
  Status: 'RUNNING' | 'COMPLETED' | 'CANCELLED' | 'FAILED';
  ApproximateNumberOfMessagesMoved: number;
  ApproximateNumberOfMessagesToMove: number;
  StartedTimestamp: number;
  TaskHandle?: string;
  DestinationArn?: string;
  MaxNumberOfMessagesPerSecond?: number;
  FailureReason?: string;
}

export interface SubscriptionSeen {
  name: string;
  protocol: 'sqs' | 'http' | 'https';
  endpoint: string;
  state: 'Confirmed' | 'Pending' | 'Failing';
  waiting?: number;
  oldest?: string;
  fault?: string;
  failedAt?: string;
}

export interface NewMessage {
  body: string;
  group: string;
  deduplication: string;
  delay: string;
}

export type End = 'oldest' | 'newest';

/** `orders` of `arn:aws:sqs:us-east-1:000000000000:orders`. */
export function nameInArn(arn: string): string {
  return arn.slice(arn.lastIndexOf(':') + 1);
}

/** What AWS calls it. */
export function labelOf(queue: Resource): string {
  return (queue.spec?.queueName as string | undefined) || queue.metadata.name;
}

export function isFifo(queue: Resource): boolean {
  return Boolean(queue.spec?.fifo);
}

export function arnOf(resource: Resource): string {
  return (resource.status?.arn ?? '') as string;
}

/** The queues whose dead letters go to this one. */
export function sourcesOf(queue: Resource, all: readonly Resource[]): Resource[] {
  const arn = arnOf(queue);
  return all.filter((each) => arn !== '' && each.spec?.redrive?.deadLetterTargetArn === arn);
}

/** Why dead letters are where they are, as a person says it. */
export function failureTold({ source, code }: Failure): string {
  if (code) return source ? `${code}, of ${nameInArn(source)}` : code;
  return source ? `received too often in ${nameInArn(source)}` : 'sent here by somebody';
}

const TASKS: Record<MoveTask['Status'], [Health, string]> = {
  RUNNING: ['busy', 'Moving'],
  COMPLETED: ['well', 'Done'],
  CANCELLED: ['idle', 'Cancelled'],
  FAILED: ['bad', 'Failed'],
};

const REASONS: Record<string, string> = {
  CouldNotDetermineMessageSource: 'One failed in no queue that sends its dead letters here: choose where to.',
  'AWS.SimpleQueueService.NonExistentQueue': 'One of the queues is not there any more.',
};

/** The state of a task, and how far it came, in words. */
export function taskTold(task: MoveTask): { health: Health; word: string; about: string } {
  const [health, word] = TASKS[task.Status] ?? ['unknown', task.Status];
  const { ApproximateNumberOfMessagesMoved: moved, ApproximateNumberOfMessagesToMove: all } = task;
  const to = task.DestinationArn ? ` to ${nameInArn(task.DestinationArn)}` : ' to where they failed';
  const rate = task.MaxNumberOfMessagesPerSecond ? `, ${task.MaxNumberOfMessagesPerSecond} a second` : '';
  const why = task.FailureReason ? `. ${REASONS[task.FailureReason] ?? task.FailureReason}` : '';
  return { health, word, about: `${moved} of ${all}${to}${rate}${why}` };
}

const STATES: Record<SeenMessage['state'], [Health, string]> = {
  Visible: ['well', 'Waiting'],
  InFlight: ['busy', 'In flight'],
  Delayed: ['idle', 'Delayed'],
};

export function messageState({ state }: SeenMessage): { health: Health; word: string } {
  const [health, word] = STATES[state] ?? ['unknown', state];
  return { health, word };
}

const SUBSCRIPTIONS: Record<SubscriptionSeen['state'], [Health, string]> = {
  Confirmed: ['well', 'Delivering'],
  Pending: ['warn', 'Waits to be confirmed'],
  Failing: ['bad', 'Failing'],
};

export function subscriptionState({ state }: SubscriptionSeen): { health: Health; word: string } {
  const [health, word] = SUBSCRIPTIONS[state] ?? ['unknown', state];
  return { health, word };
}

function pathOf(resource: Resource, plural: string): string {
  const { name, namespace = 'default' } = resource.metadata;
  return `${pathSpeaking('sqs')}/${plural}/${namespace}/${encodeURIComponent(name)}`;
}

/** Messages at that end, without receiving them. The audit log tells of it. Raises ApiError. */
export function look(queue: Resource, from: End, limit: number, signal?: AbortSignal): Promise<Look> {
  return ask<Look>(`${pathOf(queue, 'queues')}/messages?from=${from}&limit=${limit}`, { signal });
}

export async function readFailures(
  queue: Resource,
  signal?: AbortSignal,
): Promise<{ failures: Failure[]; looked: number }> {
  return ask(`${pathOf(queue, 'queues')}/failures`, { signal });
}

export async function readSubscriptions(topic: Resource, signal?: AbortSignal): Promise<SubscriptionSeen[]> {
  return (await ask<{ subscriptions: SubscriptionSeen[] }>(`${pathOf(topic, 'topics')}/subscriptions`, { signal }))
    .subscriptions;
}

/** The newest first. */
export async function readTasks(queue: Resource, signal?: AbortSignal): Promise<MoveTask[]> {
  const asked = { SourceArn: arnOf(queue), MaxResults: 10 };
  return (await sqs<{ Results?: MoveTask[] }>('ListMessageMoveTasks', asked, signal)).Results ?? [];
}

/** The URL that SQS's clients have of it. */
export function urlOf(queue: Resource): string {
  const [account, name] = arnOf(queue).split(':').slice(-2);
  return `${window.location.origin}/${account}/${name}`;
}

/** Raises ApiError: the form that asked shows it. */
export async function send(queue: Resource, message: NewMessage): Promise<void> {
  await sqs('SendMessage', sending(queue, message));
  say('well', 'It is in the queue');
}

/** What `SendMessage` is asked; what was left empty is not said. Pure but for the URL. */
export function sending(queue: Resource, { body, group, deduplication, delay }: NewMessage): Record<string, unknown> {
  return {
    QueueUrl: urlOf(queue),
    MessageBody: body,
    ...(group && { MessageGroupId: group }),
    ...(deduplication && { MessageDeduplicationId: deduplication }),
    ...(delay && { DelaySeconds: Number(delay) }),
  };
}

export function purge(queue: Resource): Promise<boolean> {
  return attempt(
    'Not purged',
    () => sqs('PurgeQueue', { QueueUrl: urlOf(queue) }),
    () => `${queue.metadata.name} is empty`,
  );
}

/** `rate`: messages a second; 0 for as fast as it goes. `to`: an ARN; empty for where each failed. */
export function redrive(queue: Resource, rate: number, to: string): Promise<boolean> {
  const asked = {
    SourceArn: arnOf(queue),
    ...(rate > 0 && { MaxNumberOfMessagesPerSecond: rate }),
    ...(to && { DestinationArn: to }),
  };
  return attempt(
    'Not sent back',
    () => sqs('StartMessageMoveTask', asked),
    () => 'Dead letters are on their way back',
  );
}

export function cancelMove(task: MoveTask): Promise<boolean> {
  return attempt(
    'Not stopped',
    () => sqs('CancelMessageMoveTask', { TaskHandle: task.TaskHandle }),
    () => 'What has not been moved stays',
  );
}

/** Raises ApiError: the form that asked shows it. */
export async function publish(topic: Resource, message: string, subject: string, group: string): Promise<void> {
  const form = new URLSearchParams({
    Action: 'Publish',
    Version: '2010-03-31',
    TopicArn: arnOf(topic),
    Message: message,
    ...(subject && { Subject: subject }),
    ...(group && { MessageGroupId: group }),
  });
  const type = 'application/x-www-form-urlencoded';
  await raw(`${pathSpeaking('sns')}/sns`, { method: 'POST', text: form.toString(), type });
  say('well', 'It is published');
}

function sqs<T>(operation: string, body: object, signal?: AbortSignal): Promise<T> {
  return ask<T>(`${pathSpeaking('sqs')}/`, {
    method: 'POST',
    body,
    type: 'application/x-amz-json-1.0',
    headers: { 'x-amz-target': `AmazonSQS.${operation}` },
    signal,
  });
}
