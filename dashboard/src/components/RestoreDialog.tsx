import { useState } from 'react';
import { Text } from 'react-native';

import { useNow } from '../hooks/useNow';
import { text } from '../styles/text';
import { create } from '../utils/actions';
import { momentFault, restored, windowOf } from '../utils/databases';
import { inWords } from '../utils/errors';
import { DATABASES, type Resource } from '../utils/resources';
import { go, pageOf } from '../utils/routes';
import { momentTold } from '../utils/time';
import { Button } from './Button';
import { Dialog } from './Dialog';
import { Field } from './Field';

interface Props {
  database: Resource;
  /** A DatabaseBackup; without one, a moment of the Database. */
  backup?: string;
  onClose: () => void;
}

/** Another Database, which begins with what this one held. This one stays as it is. */
export function RestoreDialog({ database, backup, onClose }: Props) {
  const now = useNow(1000);
  const window = windowOf(database);
  const [name, setName] = useState(`${database.metadata.name}-restored`);
  const [time, setTime] = useState('');
  const [refused, setRefused] = useState('');
  const fault = backup || !window ? '' : momentFault(time, window);
  const make = async () => {
    try {
      const made = restored(database, name, backup ? { backup } : { time });
      await create(DATABASES, made, `${name} is being made of ${backup ?? database.metadata.name}`);
      onClose();
      go(pageOf(DATABASES, made));
    } catch (error) {
      const { what, next } = inWords(error);
      setRefused(`${what} ${next}`);
    }
  };
  return (
    <Dialog title={`Restore ${backup ?? database.metadata.name}`} onClose={onClose}>
      <Text style={text.body}>
        {`A new Database begins with what ${backup ? `${backup} has` : 'this one held then'}. ${database.metadata.name} goes on as it is; nothing in it changes.`}
      </Text>
      <Field label="Name of the new one" value={name} onChange={setName} error={refused} id="restored-name" />
      {!backup && window && (
        <Field
          label="Moment, in your time"
          value={time}
          onChange={setTime}
          error={fault}
          hint={`2026-01-31 12:00:00; from ${momentTold(window.from, now)} to ${momentTold(window.to, now)}. Leave empty for the latest.`}
          id="moment"
        />
      )}
      <Button
        label="Restore"
        look="primary"
        onPress={() => void make()}
        disabled={Boolean(fault) || !name}
        id="restore-it"
      />
    </Dialog>
  );
}
