import { Text } from 'react-native';

import { useResources } from '../hooks/useResources';
import { text } from '../styles/text';
import { KEYS } from '../utils/resources';
import { pageOf } from '../utils/routes';
import { keyNamed } from '../utils/secrets';
import { TextLink } from './TextLink';

/** A key as it was named; a link where the account has it. */
export function KeyLink({ name, namespace }: { name: string; namespace: string }) {
  const key = keyNamed(name, namespace, useResources(KEYS).items);
  if (!key) return <Text style={[text.body, { overflowWrap: 'anywhere' }]}>{name}</Text>;
  return (
    <TextLink to={pageOf(KEYS, key)} strong={false}>
      {name}
    </TextLink>
  );
}
