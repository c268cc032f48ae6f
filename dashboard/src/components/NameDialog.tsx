import { useState } from 'react';
import { Text } from 'react-native';

import { text } from '../styles/text';
import { create } from '../utils/actions';
import { inWords } from '../utils/errors';
import { apiVersion, type Kind, type Resource } from '../utils/resources';
import { Button } from './Button';
import { Dialog } from './Dialog';
import { Field } from './Field';

interface Props {
  kind: Kind;
  title: string;
  about: string;
  more?: { label: string; hint: string; spec: (value: string) => object };
  /** What follows from the name alone. */
  specOf?: (name: string) => object;
  onClose: () => void;
}

const NAME = /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/;

/** A new resource that needs little more than a name. */
export function NameDialog({ kind, title, about, more, specOf, onClose }: Props) {
  const [name, setName] = useState('');
  const [value, setValue] = useState('');
  const [error, setError] = useState('');
  const make = async () => {
    if (!NAME.test(name)) {
      setError('Small letters, digits and dashes; it begins and ends with a letter or digit.');
      return;
    }
    const resource: Resource = {
      apiVersion: apiVersion(kind),
      kind: kind.kind,
      metadata: { name, namespace: 'default' },
      spec: { ...specOf?.(name), ...more?.spec(value) },
    };
    try {
      await create(kind, resource, `${name} is made`);
      onClose();
    } catch (refused) {
      const { what, next } = inWords(refused);
      setError(`${what} ${next}`);
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <Text style={text.soft}>{about}</Text>
      <Field
        label="Name"
        value={name}
        onChange={setName}
        error={error}
        autoFocus
        onSubmit={() => void make()}
        id="new-name"
      />
      {more && (
        <Field label={more.label} value={value} onChange={setValue} hint={more.hint} onSubmit={() => void make()} />
      )}
      <Button label="Create" look="primary" onPress={() => void make()} id="create" />
    </Dialog>
  );
}
