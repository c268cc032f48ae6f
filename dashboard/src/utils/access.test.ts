import { describe, expect, it } from 'vitest';

import { accessPage, attributesOf, becauseOf, questionOf, statementsOf, targetOf, wordOf, type Denial } from './access';
import { KEYS, SERVICES } from './resources';

const KINDS = [
  { group: '', version: 'v1', plural: 'services', kind: 'Service', namespaced: true },
  SERVICES,
  KEYS,
  { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false },
];
const asked = (does: string, what: string, namespace = 'team') =>
  attributesOf({ who: '', does, what, namespace }, KINDS, (name) => (name === 'pay' ? 'arn:pay' : ''));
const DENIAL: Denial = {
  requestId: 'r',
  time: '',
  principal: 'ann',
  code: 403,
  action: 'get',
  resource: { resource: 'secrets', namespace: 'team', name: 'db' },
  reason: '',
};

describe('a question', () => {
  it('about a verb names the kind, ours first', () => {
    expect(asked('get', 'service/web')).toEqual({
      resourceAttributes: { verb: 'get', group: 'aerekos.cloud', resource: 'services', namespace: 'team', name: 'web' },
    });
    expect(asked('list', 'Node')).toMatchObject({ resourceAttributes: { resource: 'nodes', namespace: '', name: '' } });
  });
  it('about an action of AWS names an ARN', () => {
    const arns = ['key/pay', 'bucket/a/b.txt', '', 'arn:x'].map((what) => asked('kms:Decrypt', what));
    expect(arns.map((each) => 'awsAttributes' in each && each.awsAttributes.resource)).toEqual([
      'arn:pay',
      'arn:aws:s3:::a/b.txt',
      '*',
      'arn:x',
    ]);
  });
  it.each([
    ['', '', 'Say what is done'],
    ['get', '', 'Say to what'],
    ['get', 'castles', 'No kind is called “castles”'],
    ['kms:Decrypt', 'key/none', 'There is no key none in team'],
    ['kms:Decrypt', 'service/web', 'is about an ARN'],
  ])('that makes no sense says so: %s %s', (does, what, words) => {
    expect(() => asked(does, what)).toThrow(words);
  });
});

describe('a policy', () => {
  it('is taken apart into its statements, one or many', () => {
    const one = { Effect: 'Deny', Sid: 'No', Action: '*', Resource: '*' };
    expect(statementsOf(JSON.stringify({ Statement: one }))).toMatchObject([{ index: 0, effect: 'Deny', sid: 'No' }]);
    expect(statementsOf(JSON.stringify({ Statement: [one, { Effect: 'Allow' }] }))).toHaveLength(2);
    expect([statementsOf('garbage'), statementsOf('null'), statementsOf('{}')]).toEqual([null, null, null]);
  });
});

describe('what a side says', () => {
  it('names the statement, the boundary or the grant', () => {
    const statement = { source: 's', policy: 'p', index: 2, effect: 'Deny' as const, sid: 'No' };
    expect(becauseOf({ outcome: 'explicitDeny', statement })).toBe('Statement 2 “No” of p denies it.');
    expect(wordOf({ outcome: 'implicitDeny', outOfBounds: true })).toBe('Out of bounds');
    expect(becauseOf({ grant: 'KeyGrant default/g' })).toBe('KeyGrant default/g gives it.');
  });
});

describe('a refusal', () => {
  it('can be asked again', () => {
    expect(questionOf(DENIAL)).toEqual({ who: 'ann', does: 'get', what: 'secrets/db', namespace: 'team' });
    expect(targetOf(DENIAL)).toBe('secrets/db in team');
    expect(questionOf({ ...DENIAL, action: 'kms:Decrypt', resource: 'arn:x' })).toMatchObject({ what: 'arn:x' });
    expect(questionOf({ ...DENIAL, resource: '/audit' })).toBeNull();
    expect(questionOf({ ...DENIAL, principal: '' })).toBeNull();
    expect(accessPage(questionOf(DENIAL)!)).toBe('/ui/access?who=ann&does=get&what=secrets%2Fdb&ns=team');
  });
});
