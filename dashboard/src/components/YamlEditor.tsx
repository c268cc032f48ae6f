import { useCallback, useDeferredValue, useEffect, useMemo, useState } from 'react';
import { Text, TextInput, View } from 'react-native';

import { useLayout } from '../hooks/useLayout';
import { forms } from '../styles/forms';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { color } from '../styles/tokens';
import { dropDraft, draftKey, keepDraft, readDraft } from '../utils/drafts';
import { apply, check, hintsFor, type Checked, type Fault } from '../utils/editing';
import { fieldsOf, type KindSchema } from '../utils/discovery';
import { hold } from '../utils/leaving';
import type { Kind, Resource } from '../utils/resources';
import { momentTold } from '../utils/time';
import { say } from '../utils/toasts';
import { toYaml } from '../utils/yaml';
import { Button } from './Button';
import { Diff } from './Diff';
import { FieldList } from './FieldList';
import { Panel } from './Panel';
import { Sign } from './Sign';

interface Props {
  kind: Kind;
  /** What is there now; for a new resource only what it begins with. */
  resource: Resource;
  isNew?: boolean;
  mayWrite: boolean;
  schema: KindSchema | null;
  onDone: (written: Resource) => void;
}

/** A manifest as text. The server checks it (dry run) and tells what would change before anything does. */
export function YamlEditor({ kind, resource, isNew = false, mayWrite, schema, onDone }: Props) {
  const fields = useMemo(() => fieldsOf(schema), [schema]);
  const manifestOf = useCallback((of: Resource) => toYaml(of, isNew ? of : undefined), [isNew]);
  const { name, namespace } = resource.metadata;
  const key = draftKey(kind.plural, namespace, isNew ? '' : name);
  const [draft, setDraft] = useState(() => readDraft(key));
  const [started, setStarted] = useState(draft?.started ?? resource);
  const [code, setCode] = useState(() => draft?.code ?? manifestOf(resource));
  const [checked, setChecked] = useState<Checked | null>(null);
  const [busy, setBusy] = useState(false);
  const wide = useLayout().layout === 'desktop';
  const moved = manifestOf(started) !== manifestOf(resource);
  // A status that moved is no other wish: the newest version is what is written over.
  const basis = moved ? started : resource;
  const untouched = code === manifestOf(started);
  useEffect(() => {
    // Nobody has typed: show the newest version.
    if (!moved || !untouched) return;
    setStarted(resource);
    setCode(manifestOf(resource));
  }, [moved, untouched, resource, manifestOf]);
  useEffect(() => {
    if (untouched) dropDraft(key);
    else keepDraft(key, { code, started, at: Date.now() });
  }, [key, untouched, code, started]);
  useEffect(() => {
    // A dialog closes over its draft without a question: opening it again shows the draft.
    const scope = isNew ? 'tab' : 'page';
    const what = `Your edits of ${name} are not applied. They stay here as a draft until you sign out or close this tab.`;
    // What is on its way is not unapplied; when it is refused, the draft is there.
    return untouched || busy ? undefined : hold({ title: 'Leave without applying?', what, scope });
  }, [untouched, busy, isNew, name]);
  const change = (now: string) => {
    setCode(now);
    setChecked(null);
  };
  const startOver = () => {
    setDraft(null);
    setStarted(resource);
    change(manifestOf(resource));
  };
  const ask = async () => {
    setBusy(true);
    setChecked(await check(kind, basis, code, isNew));
    setBusy(false);
  };
  const write = async () => {
    setBusy(true);
    const done = await apply(kind, basis, code, isNew);
    setBusy(false);
    if ('fault' in done) {
      setChecked(done);
      return;
    }
    say('well', `${done.written.metadata.name} is ${isNew ? 'created' : 'applied'}`);
    setStarted(done.written);
    setCode(manifestOf(done.written));
    setChecked(null);
    setDraft(null);
    dropDraft(key);
    // What is held is let go with the next drawing; only then is it left.
    setTimeout(() => onDone(done.written));
  };
  const fault = checked && 'fault' in checked ? checked.fault : null;
  const typed = useDeferredValue(code);
  const hint = useMemo(() => (mayWrite ? hintsFor(typed, schema) : null), [mayWrite, typed, schema]);
  return (
    <View style={wide ? layout.columns : layout.columnsPhone}>
      <View style={[wide ? layout.main : null, layout.stackWide]}>
        {mayWrite && (
          <View style={layout.wrap}>
            <Button label="Check" onPress={() => void ask()} disabled={busy || (untouched && !isNew)} id="check" />
            <Button
              label={isNew ? 'Create' : 'Apply'}
              look="primary"
              onPress={() => void write()}
              disabled={busy || (untouched && !isNew)}
              id="apply"
            />
            {!untouched && <Button label="Start over" look="bare" onPress={startOver} />}
            {moved && !untouched && (
              <Text style={[text.small, { color: color.warn }]}>
                It changed meanwhile; applying will be refused. Start over to see the newest.
              </Text>
            )}
            {draft && !untouched && (
              <Text style={text.small} testID="draft">
                This is your draft of {momentTold(draft.at, Date.now())}. It is not applied.
              </Text>
            )}
          </View>
        )}
        {fault && <FaultTold fault={fault} />}
        {!fault && hint && <HintTold fault={hint} />}
        {checked && 'diff' in checked && (
          <Diff lines={checked.diff} none="The server accepts it; nothing would change." />
        )}
        <Frame
          code={code}
          onChange={change}
          wrong={(fault ?? hint)?.lines ?? []}
          readOnly={!mayWrite}
          autoFocus={isNew}
        />
      </View>
      {fields.length > 0 && (
        <View style={wide ? layout.side : null}>
          <Panel title="Schema">
            <FieldList fields={fields} />
          </Panel>
        </View>
      )}
    </View>
  );
}

interface FrameProps {
  code: string;
  onChange: (code: string) => void;
  wrong: readonly number[];
  readOnly: boolean;
  autoFocus: boolean;
}

function Frame({ code, onChange, wrong, readOnly, autoFocus }: FrameProps) {
  const count = code.split('\n').length;
  return (
    <View style={forms.editorFrame}>
      <View style={forms.gutter} aria-hidden>
        {Array.from({ length: count }, (_, index) => (
          <Text key={index} style={[forms.gutterText, wrong.includes(index + 1) && forms.gutterWrong]}>
            {wrong.includes(index + 1) ? `▸ ${index + 1}` : index + 1}
          </Text>
        ))}
      </View>
      <TextInput
        multiline
        testID="yaml"
        aria-label="Manifest as YAML"
        editable={!readOnly}
        autoFocus={autoFocus}
        value={code}
        onChangeText={onChange}
        spellCheck={false}
        autoCorrect={false}
        autoCapitalize="none"
        rows={Math.max(18, count + 1)}
        style={forms.editor}
      />
    </View>
  );
}

function FaultTold({ fault }: { fault: Fault }) {
  return (
    <View role="alert" testID="yaml-fault" style={[forms.code, { borderColor: color.bad, gap: 6 }]}>
      <View style={layout.row}>
        <Sign health="bad" />
        <Text style={[text.strong, { flex: 1 }]}>{fault.what}</Text>
      </View>
      {fault.causes.map((cause) => (
        <Text key={cause} style={text.small}>
          {cause}
        </Text>
      ))}
      {fault.next ? <Text style={text.faint}>{fault.next}</Text> : null}
    </View>
  );
}

/** Said while somebody types; the server has not been asked. */
function HintTold({ fault }: { fault: Fault }) {
  return (
    <View role="status" testID="yaml-hint" style={[forms.code, { gap: 6 }]}>
      <View style={layout.row}>
        <Sign health="warn" />
        <Text style={[text.body, { flex: 1 }]}>{fault.what}</Text>
      </View>
      {fault.causes.map((cause) => (
        <Text key={cause} style={text.small}>
          {cause}
        </Text>
      ))}
    </View>
  );
}
