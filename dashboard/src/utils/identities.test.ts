import { describe, expect, it } from 'vitest';

import { bindingsOf, currentDocument, policiesOf, withoutDocuments } from './identities';
import type { Resource } from './resources';

const binding = (name: string, namespace: string, subject: object): Resource =>
  ({ metadata: { name, namespace }, subjects: [subject], roleRef: { name: 'edit' } }) as Resource;
const policy: Resource = {
  metadata: { name: 'p', namespace: 'default' },
  spec: { policyName: 'P', defaultVersion: 2, versions: [1, 2].map((number) => ({ number, document: `v${number}` })) },
};

describe('bindings of a person', () => {
  it('name them or a group of theirs, and nobody else', () => {
    const local = [
      binding('mine', 'team', { kind: 'User', name: 'ann' }),
      binding('robot', 'team', { kind: 'ServiceAccount', name: 'ann' }),
    ];
    const wide = [binding('devs', '', { kind: 'Group', name: 'devs' }), { metadata: { name: 'empty' } }];
    const found = bindingsOf('ann', ['devs'], local, wide);
    expect(found.map((each) => [each.binding.metadata.name, each.namespace, each.through])).toEqual([
      ['devs', '', 'devs'],
      ['mine', 'team', ''],
    ]);
  });
});

describe('policies of an identity', () => {
  it('are its own and those of its groups, in the version that counts', () => {
    const arn = 'arn:aws:iam::000000000000:policy/x/P';
    const identity: Resource = {
      metadata: { name: 'ann', namespace: 'default' },
      spec: { inline: { own: '{}' }, attached: [arn, 'arn:aws:iam::aws:policy/ReadOnlyAccess'], groups: ['Devs'] },
    };
    const group = (namespace: string): Resource => ({
      metadata: { name: 'devs', namespace },
      spec: { groupName: 'Devs', inline: { shared: '{}' } },
    });
    const found = policiesOf(identity, [group('default'), group('other')], [policy]);
    expect(found.map((each) => [each.name, each.of, each.document])).toEqual([
      ['own', '', '{}'],
      [arn, '', 'v2'],
      ['arn:aws:iam::aws:policy/ReadOnlyAccess', '', ''],
      ['shared', 'Devs', '{}'],
    ]);
    expect(policiesOf(undefined, [], [])).toEqual([]);
    expect(currentDocument(policy)).toBe('v2');
    expect(withoutDocuments({ a: 1, inline: {}, versions: [], trust: '', policy: '' })).toEqual({ a: 1 });
  });
});
