import { expect, it, vi } from 'vitest';

const answers: Record<string, unknown> = {
  '/apis': {
    groups: [
      {
        name: 'light.example',
        versions: [{ version: 'v1' }, { version: 'v1beta1' }],
        preferredVersion: { version: 'v1' },
      },
    ],
  },
  '/api/v1': { resources: [] },
  '/apis/light.example/v1': { resources: [{ name: 'lamps', kind: 'Lamp', namespaced: true, verbs: ['list'] }] },
  '/apis/light.example/v1beta1': {
    resources: ['lamps', 'cables'].map((name) => ({ name, kind: name, namespaced: true, verbs: ['list'] })),
  },
};
vi.mock('./api', () => ({ ask: (path: string) => Promise.resolve(answers[path]) }));

it('shows a kind of several versions once, and one that the preferred version lacks too', async () => {
  const { kinds, readKinds } = await import('./discovery');
  await readKinds();
  expect(kinds.get().map(({ plural, version }) => `${plural} ${version}`)).toEqual(['cables v1beta1', 'lamps v1']);
});
