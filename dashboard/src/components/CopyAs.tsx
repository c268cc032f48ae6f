import { useState } from 'react';
import { Text, View } from 'react-native';

import { forms } from '../styles/forms';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { downloadCa } from '../utils/authority';
import { copy, TOKEN_LINE, type Copies } from '../utils/copyas';
import type { Resource } from '../utils/resources';
import { say } from '../utils/toasts';
import { Button } from './Button';
import { Dialog } from './Dialog';

/** The same thing for another tool: aerekos, kubectl, curl, and YAML where there is something to write down. */
export function CopyAs({ copies, resources }: { copies: Copies; resources?: readonly Resource[] }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button label="Copy as…" icon="copy" onPress={() => setOpen(true)} id="copy-as" />
      {open && <Sheet copies={copies} resources={resources} onClose={() => setOpen(false)} />}
    </>
  );
}

function Sheet({
  copies,
  resources,
  onClose,
}: {
  copies: Copies;
  resources?: readonly Resource[];
  onClose: () => void;
}) {
  const yaml = async () => {
    const { toYaml } = await import('../utils/yaml');
    await taken((resources ?? []).map((each) => toYaml(each)).join('---\n'), 'YAML');
  };
  return (
    <Dialog title="Copy as" onClose={onClose}>
      {copies.aerekos && <Snippet name="aerekos" code={copies.aerekos} />}
      <Snippet name={copies.kubectl.split(' ')[0]!} code={copies.kubectl} />
      <Snippet name="curl" code={copies.curl} />
      <Snippet name="$TOKEN for curl, after aerekos login" code={TOKEN_LINE} />
      <View style={layout.wrap}>
        <Button label="Download ca.crt" icon="down" onPress={() => void downloadCa()} />
        {resources && resources.length > 0 && (
          <Button label={`Copy as YAML (${resources.length})`} icon="copy" onPress={() => void yaml()} />
        )}
      </View>
    </Dialog>
  );
}

async function taken(code: string, name: string): Promise<void> {
  const worked = await copy(code);
  say(
    worked ? 'well' : 'bad',
    worked ? `Copied as ${name}` : 'The browser did not allow copying; select the text instead',
  );
}

/** A line of code with a button that copies it. */
export function Snippet({ name, code }: { name: string; code: string }) {
  return (
    <View style={forms.field}>
      <View style={layout.between}>
        <Text style={text.namedLabel}>{name}</Text>
        <Button label={`Copy ${name}`} small look="bare" icon="copy" onPress={() => void taken(code, name)} />
      </View>
      <View style={forms.code}>
        <Text selectable style={[text.mono, { overflowWrap: 'anywhere' }]}>
          {code}
        </Text>
      </View>
    </View>
  );
}
