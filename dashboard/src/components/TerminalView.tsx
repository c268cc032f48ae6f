import { useEffect, useRef, useState } from 'react';
import { Text, View } from 'react-native';

import { useLayout } from '../hooks/useLayout';
import { detail } from '../styles/detail';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { inWords } from '../utils/errors';
import type { Emulator } from '../utils/emulator';
import { execute, SHELL, type Ended, type Running, type Target } from '../utils/exec';
import type { Health } from '../utils/health';
import { Button } from './Button';
import { Empty } from './Empty';
import { Choice, Field } from './Field';
import { StatusMark } from './StatusMark';

type State = 'connecting' | 'open' | Ended;

/** A shell, or one command, in an instance of a service. For admins: it may do whatever the instance may. */
export function TerminalView({ namespace, instances }: { namespace: string; instances: readonly string[] }) {
  const [chosen, setChosen] = useState('');
  const [command, setCommand] = useState('');
  const [session, setSession] = useState<{ number: number; target: Target } | null>(null);
  const [state, setState] = useState<State>('connecting');
  const instance = instances.includes(chosen) ? chosen : (instances[0] ?? '');
  const open = () => {
    const words = command.trim() ? ['sh', '-c', command] : SHELL;
    setState('connecting');
    setSession({ number: (session?.number ?? 0) + 1, target: { namespace, instance, command: words } });
  };
  if (!instance) return <Empty title="No running instances" next="A terminal needs one: enable the service first." />;
  return (
    <View style={layout.stack}>
      {instances.length > 1 && (
        <Choice
          label="Copy"
          options={instances.map((name) => ({ value: name, name }))}
          chosen={instance}
          onChoose={setChosen}
        />
      )}
      <View style={[layout.wrap, { alignItems: 'flex-end' }]}>
        <View style={detail.command}>
          <Field
            label="Command"
            value={command}
            onChange={setCommand}
            onSubmit={open}
            hint="Leave empty for a shell."
            id="command"
          />
        </View>
        <View style={detail.besideField}>
          <Button
            label={session ? 'Open anew' : `Open in ${instance}`}
            look="primary"
            onPress={open}
            id="open-terminal"
          />
          {session && <Button label="Close" onPress={() => setSession(null)} id="close-terminal" />}
        </View>
      </View>
      {session && <StateTold state={state} instance={session.target.instance} />}
      {session ? (
        <Screen key={session.number} target={session.target} onState={setState} />
      ) : (
        <Text style={text.soft}>
          It runs inside the instance and may do whatever that may. Every session is written to the audit log.
        </Text>
      )}
    </View>
  );
}

function StateTold({ state, instance }: { state: State; instance: string }) {
  const [health, word]: [Health, string] =
    state === 'connecting'
      ? ['busy', `Connecting to ${instance}`]
      : state === 'open'
        ? ['well', `In ${instance}`]
        : [state.code === 0 ? 'idle' : 'bad', state.message];
  return (
    <View style={layout.between} role="status" testID="terminal-state">
      <StatusMark health={health} word={word} />
      {state === 'open' && <Text style={text.faint}>F6 leaves the terminal</Text>}
    </View>
  );
}

function Screen({ target, onState }: { target: Target; onState: (state: State) => void }) {
  const { phone } = useLayout();
  const frame = useRef<HTMLElement>(null);
  useEffect(() => {
    const parent = frame.current;
    if (!parent) return undefined;
    const stopping = new AbortController();
    void converse(parent, target, onState, stopping.signal);
    return () => stopping.abort();
    // eslint-disable-next-line react-hooks/exhaustive-deps -- a session is its target's for life; another one has another key
  }, []);
  return <View ref={frame} style={[detail.terminal, phone && detail.terminalPhone]} testID="terminal" />;
}

/** From opening to the end of the command, or until somebody leaves. */
async function converse(parent: HTMLElement, target: Target, onState: (state: State) => void, signal: AbortSignal) {
  const { emulatorIn } = await import('../utils/emulator');
  if (signal.aborted) return;
  const emulator = await emulatorIn(parent);
  const watching = new ResizeObserver(emulator.fit);
  let running: Running | null = null;
  const leave = () => {
    watching.disconnect();
    running?.close();
    emulator.dispose();
  };
  if (signal.aborted) return leave();
  signal.addEventListener('abort', leave);
  watching.observe(parent);
  emulator.fit();
  try {
    running = await execute(target, {
      open: () => {
        running?.resize(emulator.terminal.cols, emulator.terminal.rows);
        onState('open');
        emulator.terminal.focus();
      },
      output: (bytes) => emulator.terminal.write(bytes),
      ended: (how) => {
        emulator.terminal.options.disableStdin = true;
        emulator.terminal.options.cursorBlink = false;
        onState(how);
      },
    });
    if (signal.aborted) running.close();
    else wire(emulator, running);
  } catch (error) {
    onState({ code: null, message: inWords(error).what });
  }
}

function wire({ terminal }: Emulator, running: Running): void {
  terminal.onData(running.write);
  terminal.onResize(({ cols, rows }) => running.resize(cols, rows));
  terminal.attachCustomKeyEventHandler((event) => {
    if (event.key !== 'F6') return true;
    if (event.type === 'keydown') document.querySelector<HTMLElement>('[data-testid="close-terminal"]')?.focus();
    event.preventDefault();
    return false;
  });
}
