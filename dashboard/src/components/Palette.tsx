import { useMemo, useState } from 'react';
import { Pressable, ScrollView, Text, TextInput, View, type KeyEvent } from 'react-native';

import { useCommands } from '../hooks/useCommands';
import { forms } from '../styles/forms';
import { table } from '../styles/table';
import { text } from '../styles/text';
import { color } from '../styles/tokens';
import { shell } from '../styles/shell';
import { ranked, scaling, type Command } from '../utils/commands';
import { Dialog } from './Dialog';

const MOST = 40;

/** Ctrl or Cmd + K: go anywhere, do anything, by typing. */
export function Palette({ onClose }: { onClose: () => void }) {
  const { commands, scalable } = useCommands();
  const [typed, setTyped] = useState('');
  const [at, setAt] = useState(0);
  const found = useMemo(
    () => [...scaling(typed, scalable), ...ranked(commands, typed)].slice(0, MOST),
    [commands, scalable, typed],
  );
  const chosen = Math.min(at, found.length - 1);
  const run = (command: Command | undefined) => {
    if (!command) return;
    onClose();
    command.run();
  };
  const press = (event: KeyEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.nativeEvent.key];
    if (step) {
      event.preventDefault();
      setAt((chosen + step + found.length) % Math.max(1, found.length));
    } else if (event.nativeEvent.key === 'Enter') {
      event.preventDefault();
      run(found[chosen]);
    }
  };
  return (
    <Dialog title="Commands" shape="high" bare onClose={onClose}>
      <View style={shell.paletteHead}>
        <TextInput
          autoFocus
          testID="palette"
          aria-label="Command"
          aria-controls="palette-list"
          aria-activedescendant={found[chosen] ? `command-${chosen}` : undefined}
          placeholder="A name, a screen, or a command such as: scale web 3"
          placeholderTextColor={color.faint}
          value={typed}
          onChangeText={(now) => {
            setTyped(now);
            setAt(0);
          }}
          onKeyPress={press}
          style={[forms.input, { fontSize: 16, minHeight: 46 }]}
        />
      </View>
      <ScrollView style={shell.paletteList}>
        <View id="palette-list" role="listbox" aria-label="Commands">
          {found.map((command, index) => (
            <Entry
              key={command.id}
              index={index}
              command={command}
              chosen={index === chosen}
              onRun={() => run(command)}
            />
          ))}
        </View>
        {found.length === 0 && (
          <Text style={[text.soft, { padding: 18 }]}>
            Nothing is called that. Try the name of a service, bucket or key, or a verb such as restart.
          </Text>
        )}
      </ScrollView>
    </Dialog>
  );
}

function Entry({
  index,
  command,
  chosen,
  onRun,
}: {
  index: number;
  command: Command;
  chosen: boolean;
  onRun: () => void;
}) {
  return (
    <Pressable
      role="option"
      tabIndex={-1}
      id={`command-${index}`}
      aria-selected={chosen}
      onPress={onRun}
      style={({ hovered }) => [table.row, { minHeight: 42, paddingVertical: 7 }, (chosen || hovered) && forms.chosen]}
    >
      <Text style={[text.body, { flex: 1 }, chosen && forms.chosenText]}>{command.name}</Text>
      <Text style={text.faint}>{command.sort}</Text>
    </Pressable>
  );
}
