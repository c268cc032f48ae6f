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
  /** The word on the button that changes nothing. */
  no?: string;
  onYes: () => void;
  onClose: () => void;
}

/** Asks before something that cannot be taken back. */
export function Confirm({ title, what, typed, action, no = 'Cancel', onYes, onClose }: Props) {
  const [word, setWord] = useState('');
  return (
    <Dialog title={title} onClose={onClose}>
      <Text style={text.body}>{what}</Text>
      {typed && <Field label={`Type ${typed} to go on`} named value={word} onChange={setWord} autoFocus />}
      <View style={[layout.row, { justifyContent: 'flex-end' }]}>
        <Button label={no} onPress={onClose} />
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
