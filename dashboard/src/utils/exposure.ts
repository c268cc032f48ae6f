/**
 * Who can read a bucket, in plain language: what its policy and its access control list say, and what of that counts.
 * Whether the policy is public is the storage's own decision (GetBucketPolicyStatus); here it is put into words. Pure.
 */
import { fits } from './wildcards';

export interface AccessBlock {
  blockAcls: boolean;
  ignoreAcls: boolean;
  blockPolicy: boolean;
  restrict: boolean;
}

export type Ownership = 'BucketOwnerEnforced' | 'BucketOwnerPreferred' | 'ObjectWriter';

/** `group`: the URI of a group, else the account that `id` begins with. */
export interface AclGrant {
  permission: string;
  group: string;
  id: string;
}

export interface BucketSide {
  bucket: string;
  /** The account that owns it. */
  account: string;
  policy: string;
  /** As GetBucketPolicyStatus says. */
  isPublic: boolean;
  block: AccessBlock;
  ownership: Ownership;
  grants: readonly AclGrant[];
}

export type Reach = 'everybody' | 'accounts' | 'own';

/** One line of the answer. */
export interface Reader {
  who: string;
  reach: Reach;
  /** `read objects`, `see names`. */
  does: string;
  /** Where, under which conditions, and why it does not count. */
  limits: string;
  counts: boolean;
}

export interface Exposure {
  reach: Reach;
  verdict: string;
  readers: Reader[];
  remarks: string[];
}

interface Principal {
  who: string;
  reach: Reach;
}

interface Statement {
  Effect?: string;
  Principal?: unknown;
  NotPrincipal?: unknown;
  Action?: unknown;
  NotAction?: unknown;
  Resource?: unknown;
  NotResource?: unknown;
  Condition?: Record<string, Record<string, unknown>>;
}

const ACCOUNT_DIGITS = 12;
const GROUPS = 'http://acs.amazonaws.com/groups/global/';
const READS = ['s3:GetObject', 's3:GetObjectVersion'];
const LISTS = ['s3:ListBucket', 's3:ListBucketVersions'];

export function exposureOf(side: BucketSide): Exposure {
  const statements = statementsIn(side.policy);
  const readers = [...statements.flatMap((each) => readersOf(each, side)), ...listedReaders(side)];
  const reach = widest(readers.filter((each) => each.counts));
  return { reach, verdict: verdictOf(reach, readers, side), readers, remarks: remarksOf(statements, side) };
}

function widest(readers: readonly Reader[]): Reach {
  const order: Reach[] = ['everybody', 'accounts', 'own'];
  return order.find((reach) => readers.some((each) => each.reach === reach)) ?? 'own';
}

function verdictOf(reach: Reach, readers: readonly Reader[], side: BucketSide): string {
  const mine = readers.filter((each) => each.counts && each.reach === reach);
  if (reach === 'everybody') {
    const opens = mine.some((each) => each.does.includes('read objects'));
    return opens ? 'Public: everybody can read objects.' : 'Public: everybody can see the names of objects.';
  }
  if (reach === 'accounts') {
    const names = [...new Set(mine.map((each) => each.who))].join('; ');
    return `Not this account alone: ${names}. Other accounts need a policy of their own as well.`;
  }
  if (side.isPublic && !isOutweighed(side))
    return 'Nobody else can read it, but others may do something else with it: see its policy and its list.';
  return 'Nobody else: only whom roles of the cloud, or policies of this account, let read.';
}

/** Whether RestrictPublicBuckets takes away what the policy gives to others. Where it is not certain that it is the
 * policy that is public, it is told as if it counted. */
function isOutweighed(side: BucketSide): boolean {
  if (!side.block.restrict || !side.isPublic) return false;
  const open = statementsIn(side.policy).filter((each) => each.Effect === 'Allow' && !each.Condition);
  return !isListPublic(side) || open.some((each) => principalsOf(each, '').some(({ reach }) => reach === 'everybody'));
}

function isListPublic({ ownership, block, grants }: BucketSide): boolean {
  if (ownership === 'BucketOwnerEnforced' || block.ignoreAcls) return false;
  return grants.some(({ group }) => group.startsWith(GROUPS));
}

function statementsIn(policy: string): Statement[] {
  if (!policy) return [];
  const { Statement: found } = JSON.parse(policy) as { Statement?: Statement | Statement[] };
  return Array.isArray(found) ? found : found ? [found] : [];
}

function readersOf(statement: Statement, side: BucketSide): Reader[] {
  if (statement.Effect !== 'Allow') return [];
  const does = [
    READS.some((each) => names(statement, each)) && 'read objects',
    LISTS.some((each) => names(statement, each)) && 'see names',
  ].filter(Boolean);
  if (does.length === 0) return [];
  return principalsOf(statement, side.account).map(({ who, reach: said }) => {
    // The storage has judged whether such a condition leaves it public.
    const reach = said === 'everybody' && statement.Condition && !side.isPublic ? 'accounts' : said;
    const counts = reach === 'own' || !isOutweighed(side);
    const limits = [whereOf(statement, side.bucket), conditionTold(statement), counts ? '' : RESTRICTED];
    return { who, reach, does: does.join(', '), limits: limits.filter(Boolean).join('; '), counts };
  });
}

const RESTRICTED = 'does not count: RestrictPublicBuckets keeps it to this account';

function names({ Action: action, NotAction: not }: Statement, wanted: string): boolean {
  if (action !== undefined) return textsOf(action).some((each) => fits(each.toLowerCase(), wanted.toLowerCase()));
  return !textsOf(not).some((each) => fits(each.toLowerCase(), wanted.toLowerCase()));
}

function textsOf(value: unknown): string[] {
  const all = Array.isArray(value) ? value : [value];
  return all.filter((each) => typeof each === 'string');
}

function principalsOf({ Principal, NotPrincipal }: Statement, account: string): Principal[] {
  if (NotPrincipal !== undefined) return [{ who: `everybody but ${named(NotPrincipal)}`, reach: 'everybody' }];
  if (typeof Principal === 'string') return [principalOf(Principal, account)];
  const kinds = Object.entries((Principal ?? {}) as Record<string, unknown>);
  return kinds.flatMap(([kind, value]) =>
    textsOf(value).map((each) => (kind === 'AWS' ? principalOf(each, account) : otherOf(kind, each, account))),
  );
}

function named(principal: unknown): string {
  if (typeof principal === 'string') return principal;
  return Object.values((principal ?? {}) as Record<string, unknown>)
    .flatMap(textsOf)
    .join(', ');
}

function principalOf(name: string, account: string): Principal {
  if (name === '*') return { who: 'everybody', reach: 'everybody' };
  const parts = name.split(':');
  const of = parts[0] === 'arn' ? (parts[4] ?? '') : name;
  const what = parts.slice(5).join(':');
  const whole = what === '' || what === 'root';
  if (of === account) return { who: whole ? 'this account' : `${what} of this account`, reach: 'own' };
  if (of.length !== ACCOUNT_DIGITS) return { who: name, reach: 'accounts' };
  return { who: whole ? `account ${of}` : `${what} of account ${of}`, reach: 'accounts' };
}

function otherOf(kind: string, name: string, account: string): Principal {
  if (kind === 'CanonicalUser') return principalOf(name.slice(0, ACCOUNT_DIGITS), account);
  return { who: `${kind.toLowerCase()} ${name}`, reach: 'accounts' };
}

/** Nothing where it is the whole bucket. */
function whereOf({ Resource, NotResource }: Statement, bucket: string): string {
  const parts = (value: unknown) => textsOf(value).map((each) => each.replace(`arn:aws:s3:::${bucket}/`, ''));
  if (NotResource !== undefined) return `but for ${parts(NotResource).join(', ')}`;
  const whole = ['*', `arn:aws:s3:::${bucket}`];
  const some = parts(Resource).filter((each) => !whole.includes(each));
  return parts(Resource).includes('*') || some.length === 0 ? '' : `in ${some.join(', ')}`;
}

function conditionTold({ Condition }: Statement): string {
  const keys = Object.entries(Condition ?? {}).flatMap(([operator, each]) =>
    Object.entries(each).map(([key, value]) => `${operator} ${key} ${textsOf(value).join(', ') || String(value)}`),
  );
  return keys.length ? `if ${keys.join(' and ')}` : '';
}

function listedReaders({ grants, ownership, block, account }: BucketSide): Reader[] {
  if (ownership === 'BucketOwnerEnforced') return [];
  return grants
    .filter(({ permission }) => permission === 'READ' || permission === 'FULL_CONTROL')
    .flatMap(({ group, id }) => {
      const everybody = group.startsWith(GROUPS);
      if (!everybody && (group || id.startsWith(account))) return [];
      const counts = !everybody || !block.ignoreAcls;
      const who = everybody ? groupTold(group) : `account ${id.slice(0, ACCOUNT_DIGITS)}`;
      const limits = `by the access control list${counts ? '' : '; does not count: IgnorePublicAcls'}`;
      return [{ who, reach: everybody ? 'everybody' : 'accounts', does: 'see names', limits, counts } as const];
    });
}

function groupTold(uri: string): string {
  return uri.endsWith('/AllUsers') ? 'everybody' : 'everybody who signs, of whatever account';
}

function remarksOf(statements: readonly Statement[], side: BucketSide): string[] {
  const remarks: string[] = [];
  if (statements.some((each) => each.Effect === 'Deny'))
    remarks.push('The policy also has a Deny: it takes from what is said here.');
  if (side.ownership !== 'BucketOwnerEnforced')
    remarks.push('Objects may have access control lists of their own, which are not looked at here.');
  return remarks;
}

/** The four switches in words. */
export function blockTold(block: AccessBlock): string {
  const names = {
    blockAcls: 'public lists are refused',
    ignoreAcls: 'public lists do not count',
    blockPolicy: 'public policies are refused',
    restrict: 'a public policy counts for this account alone',
  };
  const on = (Object.keys(names) as (keyof AccessBlock)[]).filter((each) => block[each]);
  if (on.length === 4) return 'all four on: nothing becomes public, nothing public counts';
  return on.length ? on.map((each) => names[each]).join('; ') : 'off';
}
