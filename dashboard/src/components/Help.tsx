import { Text, View } from 'react-native';

import { PLACES } from '../hooks/useKeyboard';
import { layout } from '../styles/layout';
import { shell } from '../styles/shell';
import { text } from '../styles/text';
import { Dialog } from './Dialog';

const GENERAL: [string, string][] = [
  ['Ctrl K  or  ⌘ K', 'Commands: go anywhere, do anything'],
  ['/', 'Find in this list'],
  ['j  k', 'Next and previous row'],
  ['Enter', 'Open the chosen row'],
  ['o', 'Overview of this, or of the chosen row'],
  ['e', 'Edit its YAML'],
  ['l', 'Its logs'],
  ['x', 'A terminal in it'],
  ['?', 'This page'],
  ['Esc', 'Close'],
];

/** Every key that does something. */
export function Help({ onClose }: { onClose: () => void }) {
  const places = Object.entries(PLACES).map(([key, place]) => [`g  ${key}`, place.name] as [string, string]);
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <View style={layout.stack}>
        {[...GENERAL, ...places].map(([keys, what]) => (
          <View key={keys} style={layout.between}>
            <Text style={text.body}>{what}</Text>
            <View style={shell.keycap}>
              <Text style={text.mono}>{keys}</Text>
            </View>
          </View>
        ))}
      </View>
    </Dialog>
  );
}
