/** Explanations of access: what is asked of the cloud, and how its answers read. */
import { ask } from './api';
import type { Kind } from './resources';

export interface Statement {
  source: string;
  policy: string;
  /** In its policy, from 0. */
  index: number;
  effect: 'Allow' | 'Deny';
  sid?: string;
}

export interface PolicyDecision {
  outcome?: 'allowed' | 'explicitDeny' | 'implicitDeny' | 'notApplicable';
  source?: string;
  reason?: string;
  statement?: Statement;
  /** The policy that the statement stands in. */
  document?: string;
  outOfBounds?: boolean;
  grant?: string;
}

export interface Reference {
  kind: string;
  name: string;
  namespace?: string;
}

export interface RolesDecision {
  allowed: boolean;
  reason: string;
  role?: Reference;
  binding?: Reference;
  rule?: { verbs: string[]; apiGroups: string[]; resources: string[]; resourceNames?: string[] };
  asked: { verb: string; group: string; resource: string; namespace: string; name: string };
}

export interface Explanation {
  subject: Reference & { groups?: string[] };
  allowed: boolean;
  decidedBy: 'roles' | 'policies' | 'resource-policy' | 'grant' | 'nothing';
  reason: string;
  roles: RolesDecision;
  policies: PolicyDecision;
  resourcePolicy?: PolicyDecision;
  /** What decides besides, and only the service itself knows. */
  notConsidered?: string;
}

export interface Denial {
  requestId: string;
  time: string;
  principal: string;
  code: number;
  action: string;
  resource: string | { resource: string; apiGroup?: string; namespace?: string; name?: string; subresource?: string };
  reason: string;
  policies?: PolicyDecision;
}

/** What somebody typed. `who` empty: oneself. */
export interface Question {
  who: string;
  does: string;
  what: string;
  namespace: string;
}

export type Attributes =
  | { awsAttributes: { action: string; resource: string } }
  | { resourceAttributes: { verb: string; group: string; resource: string; namespace: string; name: string } };

const BASE = '/apis/authorization.aerekos.cloud/v1';

/** Nobody learns a kind or a key here that they may not read: the words are made out with what the page has. */
export function attributesOf(question: Question, kinds: readonly Kind[], arnOf: ArnOf): Attributes {
  const { does, what, namespace } = question;
  if (!does) throw new Error('Say what is done: a verb such as get, or an action such as kms:Decrypt.');
  if (does.includes(':')) return { awsAttributes: { action: does, resource: resourceOf(what, namespace, arnOf) } };
  const [word = '', name = ''] = split(what);
  if (!word) throw new Error('Say to what: a kind, or KIND/NAME.');
  const kind = named(kinds, word);
  if (!kind) throw new Error(`No kind is called “${word}”.`);
  const where = kind.namespaced ? namespace : '';
  return { resourceAttributes: { verb: does, group: kind.group, resource: kind.plural, namespace: where, name } };
}

/** The ARN of a key of ours; empty when there is none of that name. */
export type ArnOf = (key: string, namespace: string) => string;

function resourceOf(what: string, namespace: string, arnOf: ArnOf): string {
  if (!what || what === '*' || what.startsWith('arn:')) return what || '*';
  const [kind = '', name = ''] = split(what);
  if (/^buckets?$/.test(kind) && name) return `arn:aws:s3:::${name}`;
  if (/^keys?$/.test(kind) && name) {
    const found = arnOf(name, namespace);
    if (found) return found;
    throw new Error(`There is no key ${name} in ${namespace}.`);
  }
  throw new Error('An action of AWS is about an ARN, key/NAME, bucket/NAME/OBJECT, or * for everything.');
}

function split(what: string): [string, string] {
  const at = what.indexOf('/');
  return at < 0 ? [what, ''] : [what.slice(0, at), what.slice(at + 1)];
}

/** Ours come before those of Kubernetes's own groups. */
function named(kinds: readonly Kind[], word: string): Kind | undefined {
  const low = word.toLowerCase();
  const fits = kinds.filter(
    (each) =>
      [each.plural, each.kind.toLowerCase(), `${each.plural}.${each.group}`].includes(low) || each.plural === `${low}s`,
  );
  return fits.find((each) => each.group === 'aerekos.cloud') ?? fits[0];
}

export async function explain(who: string, attributes: Attributes): Promise<Explanation> {
  return post<Explanation>('accessexplanations', { ...(who ? { user: who } : {}), ...attributes });
}

export async function whoMay(attributes: Attributes): Promise<Explanation[]> {
  return (await post<{ subjects: Explanation[] }>('resourceaccessreviews', attributes)).subjects;
}

export async function denials(): Promise<Denial[]> {
  return (await post<{ denials: Denial[] }>('denialreviews', {})).denials;
}

async function post<T>(plural: string, spec: object): Promise<T> {
  const options = { method: 'POST', body: { spec }, harmless: true };
  return (await ask<{ status: T }>(`${BASE}/${plural}`, options)).status;
}

/** The screen that answers it. */
export function accessPage(question: Partial<Question>, show = ''): string {
  const { who = '', does = '', what = '', namespace = '' } = question;
  const asked = Object.entries({ show, who, does, what, ns: namespace }).filter(([, each]) => each);
  return `/ui/access?${new URLSearchParams(asked)}`;
}

/** A refusal as the question that was refused; null where it was none about a resource, or of nobody known. */
export function questionOf(denial: Denial): Question | null {
  const { principal: who, action: does, resource } = denial;
  if (!who) return null;
  if (does.includes(':')) return { who, does, what: typeof resource === 'string' ? resource : '*', namespace: '' };
  if (typeof resource === 'string') return null;
  const kind = resource.apiGroup ? `${resource.resource}.${resource.apiGroup}` : resource.resource;
  const what = resource.name ? `${kind}/${resource.name}` : kind;
  return resource.subresource ? null : { who, does, what, namespace: resource.namespace ?? '' };
}

/** What was refused, in one line. */
export function targetOf(denial: Denial): string {
  const { resource } = denial;
  if (typeof resource === 'string') return resource || '*';
  const named = [resource.resource, resource.name, resource.subresource].filter(Boolean).join('/');
  return resource.namespace ? `${named} in ${resource.namespace}` : named;
}

export interface WrittenStatement {
  index: number;
  effect: string;
  sid: string;
  text: string;
}

/** A policy statement by statement, each as indented JSON; null for what is no policy. */
export function statementsOf(document: string): WrittenStatement[] | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(document);
  } catch {
    return null;
  }
  const given = (parsed as { Statement?: unknown } | null)?.Statement;
  const all = Array.isArray(given) ? given : given && typeof given === 'object' ? [given] : null;
  if (!all) return null;
  return all.map((each: Record<string, unknown>, index) => ({
    index,
    effect: typeof each.Effect === 'string' ? each.Effect : '',
    sid: typeof each.Sid === 'string' ? each.Sid : '',
    text: JSON.stringify(each, null, 2),
  }));
}

const OUTCOMES = {
  allowed: 'Allows',
  explicitDeny: 'Denies',
  implicitDeny: 'Silent',
  notApplicable: 'No say',
} as const;

/** What a side says, in one word. */
export function wordOf(decision: PolicyDecision): string {
  if (decision.outOfBounds) return 'Out of bounds';
  if (decision.grant && decision.outcome !== 'allowed') return 'Granted';
  return OUTCOMES[decision.outcome ?? 'notApplicable'];
}

export function healthOf(decision: PolicyDecision): 'well' | 'bad' | 'idle' {
  if (decision.outOfBounds || decision.outcome === 'explicitDeny') return 'bad';
  return decision.outcome === 'allowed' || decision.grant ? 'well' : 'idle';
}

/** Why a side says so. */
export function becauseOf(decision: PolicyDecision): string {
  if (decision.grant) return `${decision.grant} gives it.`;
  if (decision.outOfBounds) return 'The permissions boundary does not allow it, whatever else does.';
  const { statement } = decision;
  if (!statement) return sentence(decision.reason ?? '');
  const sid = statement.sid ? ` “${statement.sid}”` : '';
  const does = statement.effect === 'Deny' ? 'denies' : 'allows';
  return `Statement ${statement.index}${sid} of ${statement.policy} ${does} it.`;
}

export function sentence(text: string): string {
  return text && text[0]!.toUpperCase() + text.slice(1) + (text.endsWith('.') ? '' : '.');
}
