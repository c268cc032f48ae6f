import { useEffect, useState } from 'react';
import { Pressable, Text, View } from 'react-native';

import { forms } from '../styles/forms';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { inWords } from '../utils/errors';
import { SERVICES } from '../utils/resources';
import { go, pageOf } from '../utils/routes';
import { faultsByField, makeFrom, readTemplates, type Parameter, type Template } from '../utils/templates';
import { say } from '../utils/toasts';
import { Button } from './Button';
import { Dialog } from './Dialog';
import { Failed } from './Empty';
import { Field } from './Field';
import { Loading } from './Loading';
import { Sign } from './Sign';

/** A service out of a template: choose one, fill it in. `onYaml`: for those who know better. */
export function NewServiceDialog({ onClose, onYaml }: { onClose: () => void; onYaml: () => void }) {
  const [templates, setTemplates] = useState<readonly Template[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [chosen, setChosen] = useState<Template | null>(null);
  useEffect(() => {
    void readTemplates().then(setTemplates, setError);
  }, []);
  return (
    <Dialog
      key={chosen?.name ?? ''}
      title={chosen ? `New service: ${chosen.title}` : 'New service'}
      shape="wide"
      onClose={onClose}
    >
      {error ? <Failed error={error} /> : null}
      {!templates && !error ? <Loading what="templates" /> : null}
      {templates && !chosen && <Templates templates={templates} onChoose={setChosen} onYaml={onYaml} />}
      {chosen && <Form template={chosen} onBack={() => setChosen(null)} onClose={onClose} />}
    </Dialog>
  );
}

interface TemplatesProps {
  templates: readonly Template[];
  onChoose: (template: Template) => void;
  onYaml: () => void;
}

/** What runs here first; of the rest, what is missing is said once. */
function Templates({ templates, onChoose, onYaml }: TemplatesProps) {
  const here = templates.filter((each) => each.runsHere);
  const missing = new Map<string, Template[]>();
  for (const each of templates.filter(({ runsHere }) => !runsHere))
    missing.set(each.because, [...(missing.get(each.because) ?? []), each]);
  return (
    <View style={layout.stackWide}>
      <View role="list" aria-label="Templates" style={layout.stack}>
        {here.map((each) => (
          <View key={each.name} role="listitem">
            <Pressable
              role="button"
              testID={`template-${each.name}`}
              onPress={() => onChoose(each)}
              style={({ hovered }) => [forms.template, hovered && forms.chosen]}
            >
              <Text style={text.strong}>{each.title}</Text>
              <Text style={text.small}>{each.description}</Text>
            </Pressable>
          </View>
        ))}
      </View>
      {[...missing].map(([because, ones]) => (
        <View key={because} style={layout.row} testID="not-here">
          <Sign health="idle" />
          <Text style={[text.small, layout.grow]}>
            Not here: {ones.map((each) => each.title).join(', ')}. Why: {because}.
          </Text>
        </View>
      ))}
      <View style={layout.row}>
        <Button label="Write YAML instead" onPress={onYaml} id="template-yaml" />
      </View>
    </View>
  );
}

const NAME_HINT = 'Small letters, digits and dashes. Other services reach it by this name.';

function Form({ template, onBack, onClose }: { template: Template; onBack: () => void; onClose: () => void }) {
  const [name, setName] = useState('');
  const [values, setValues] = useState<Record<string, string>>(() => defaultsOf(template));
  const [faults, setFaults] = useState<Record<string, string>>({});
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const make = async () => {
    setBusy(true);
    try {
      const made = await makeFrom(template.name, name, 'default', values);
      say('well', `${name} is created, and starts now`);
      onClose();
      go(pageOf(SERVICES, made));
    } catch (refused) {
      const found = faultsByField(refused);
      setFaults(found);
      const told = inWords(refused);
      setError(
        Object.keys(found).some((field) => field === 'name' || field in values) ? '' : `${told.what} ${told.next}`,
      );
      setBusy(false);
    }
  };
  return (
    <View style={layout.stackWide}>
      <Text style={text.soft}>{template.description}</Text>
      <Field
        label="Name"
        value={name}
        onChange={setName}
        hint={NAME_HINT}
        error={faults.name}
        autoFocus
        id="service-name"
      />
      {template.parameters.map((each) => (
        <ParameterField
          key={each.name}
          parameter={each}
          value={values[each.name] ?? ''}
          error={faults[each.name]}
          onChange={(value) => setValues({ ...values, [each.name]: value })}
        />
      ))}
      {error ? (
        <Text role="alert" style={forms.error}>
          {error}
        </Text>
      ) : null}
      <View style={[layout.row, { justifyContent: 'flex-end' }]}>
        <Button label="Other templates" onPress={onBack} />
        <Button
          label="Create"
          look="primary"
          disabled={!name || busy}
          onPress={() => void make()}
          id="create-service"
        />
      </View>
    </View>
  );
}

interface ParameterProps {
  parameter: Parameter;
  value: string;
  error: string | undefined;
  onChange: (value: string) => void;
}

function ParameterField({ parameter, value, error, onChange }: ParameterProps) {
  const { title, description = '', type, multiline } = parameter;
  const made = type === 'password' ? ' Leave empty to have one made up.' : '';
  return (
    <Field
      label={title}
      value={value}
      onChange={onChange}
      hint={description + made}
      error={error}
      numeric={type === 'integer'}
      secret={type === 'password'}
      autoComplete={type === 'password' ? 'new-password' : 'off'}
      lines={multiline ? Math.min(16, value.split('\n').length + 1) : undefined}
      id={`parameter-${parameter.name}`}
    />
  );
}

function defaultsOf(template: Template): Record<string, string> {
  return Object.fromEntries(template.parameters.map((each) => [each.name, String(each.default ?? '')]));
}
