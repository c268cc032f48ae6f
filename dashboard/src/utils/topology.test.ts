import { describe, expect, it } from 'vitest';

import type { Service } from './resources';
import { GATEWAY, graphOf } from './topology';

function service(name: string, needs: string[] = [], phase = 'Ready'): Service {
  return { metadata: { name }, spec: { image: 'x', needs }, status: { phase, ready: '1/1' } };
}

describe('the topology', () => {
  it('puts what is needed behind what needs it', () => {
    const { nodes, edges } = graphOf([service('web', ['db']), service('db', ['keys']), service('keys')], [], 20);
    const column = (id: string) => nodes.find((each) => each.id === id)?.column;
    expect([column(GATEWAY), column('web'), column('db'), column('keys')]).toEqual([0, 1, 2, 3]);
    expect(new Set(edges.map((each) => `${each.from}>${each.to}`))).toEqual(
      new Set(['gateway>web', 'web>db', 'db>keys']),
    );
  });
  it('knows the needs of managed services from the catalog', () => {
    const storage = { ...service('storage'), spec: { managed: 'storage_manager' } } as Service;
    const entry = {
      managed: 'storage_manager',
      service: 'storage-manager',
      title: '',
      summary: '',
      kinds: [],
      speaks: [],
      needs: ['keys'],
      startsEnabled: false,
      activation: 'always' as const,
    };
    expect(graphOf([storage, service('keys')], [entry], 9).edges).toContainEqual({
      from: 'storage',
      to: 'keys',
      alive: true,
    });
  });
  it('survives a circle', () => {
    expect(graphOf([service('a', ['b']), service('b', ['a'])], [], 9).nodes).toHaveLength(3);
  });
  it('leaves out the healthy ones first, and says how many', () => {
    const many = Array.from({ length: 30 }, (_, index) => service(`s${index}`));
    const { nodes, hidden } = graphOf([...many, service('broken', [], 'Failed')], [], 10);
    expect(hidden).toBe(21);
    expect(nodes.map((each) => each.id)).toContain('broken');
  });
  it('does not draw what is off', () => {
    expect(graphOf([service('a', [], 'Disabled')], [], 9).nodes).toHaveLength(1);
  });
});
