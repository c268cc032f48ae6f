import { useState } from 'react';
import { Text, View } from 'react-native';

import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { Button } from './Button';
import { Dialog } from './Dialog';
import { Field } from './Field';

interface Props {
  title: string;
  what: string;
  /** What has to be typed first, for things that cannot be taken back. */
  typed?: string;
  action: string;
  onYes: () => void;
  onClose: () => void;
}

/** Asks before something that cannot be taken back. */
export function Confirm({ title, what, typed, action, onYes, onClose }: Props) {
  const [word, setWord] = useState('');
  return (
    <Dialog title={title} onClose={onClose}>
      <Text style={text.body}>{what}</Text>
      {typed && <Field label={`Type ${typed} to go on`} value={word} onChange={setWord} autoFocus />}
      <View style={[layout.row, { justifyContent: 'flex-end' }]}>
        <Button label="Cancel" onPress={onClose} />
        <Button
          label={action}
          look="danger"
          disabled={typed !== undefined && word !== typed}
          onPress={() => {
            onYes();
            onClose();
          }}
        />
      </View>
    </Dialog>
  );
}
