/** What this person may do, as the server's own authorizer answers it (SelfSubjectAccessReview). Each is asked once. */
import { ask } from './api';
import { Observable } from './observable';
import type { Kind } from './resources';

export type Verb = 'list' | 'create' | 'patch' | 'delete' | 'use';

export const answers = new Observable<ReadonlyMap<string, boolean>>(new Map());
const asking = new Set<string>();

export function questionOf(kind: Kind, verb: Verb, namespace: string): string {
  return `${verb} ${kind.group}/${kind.plural} ${kind.namespaced ? namespace : ''}`;
}

/** Safe to repeat; an answer that cannot be had is asked for again the next time. */
export async function askWhether(kind: Kind, verb: Verb, namespace: string): Promise<void> {
  const question = questionOf(kind, verb, namespace);
  if (answers.get().has(question) || asking.has(question)) return;
  asking.add(question);
  const [resource, subresource = ''] = kind.plural.split('/');
  const resourceAttributes = {
    verb,
    group: kind.group,
    resource,
    subresource,
    namespace: kind.namespaced ? namespace : '',
  };
  const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
  const asked = { method: 'POST', body: { spec: { resourceAttributes } }, harmless: true };
  try {
    const review = await ask<{ status: { allowed: boolean } }>(path, asked);
    answers.set(new Map(answers.get()).set(question, review.status.allowed));
  } catch {
    // Nothing is offered that nobody has allowed.
  } finally {
    asking.delete(question);
  }
}

/** Somebody else may log in. */
export function forgetPermissions(): void {
  answers.set(new Map());
}
