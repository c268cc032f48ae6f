import { useEffect, useMemo, useState } from 'react';
import { Text, View } from 'react-native';

import { Button } from '../components/Button';
import { CopyAs, Snippet } from '../components/CopyAs';
import { Choice, Field, Search } from '../components/Field';
import { FieldList } from '../components/FieldList';
import { Loading } from '../components/Loading';
import { Panel } from '../components/Panel';
import { ScreenHead } from '../components/ScreenHead';
import { TextLink } from '../components/TextLink';
import { useLayout } from '../hooks/useLayout';
import { useObservable } from '../hooks/useObservable';
import { useResources } from '../hooks/useResources';
import { useSchema } from '../hooks/useSchema';
import { detail } from '../styles/detail';
import { forms } from '../styles/forms';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { raw } from '../utils/api';
import { curl } from '../utils/copyas';
import { documentOf, fieldsOf, kinds as kindsSeen } from '../utils/discovery';
import { inWords } from '../utils/errors';
import { operationsOf, type Operation } from '../utils/explorer';
import { listPage } from '../utils/routes';
import { apiVersion, isSame, SERVICES, type Kind } from '../utils/resources';

const MOST_TEXT = 60_000;

/** Every kind's paths, fields and answers, as the API itself tells them. */
export function Explorer() {
  const kinds = useObservable(kindsSeen);
  const [wanted, setWanted] = useState('');
  const [chosen, setChosen] = useState<Kind | null>(null);
  const { layout: room } = useLayout();
  if (kinds.length === 0) return <Loading what="kinds" />;
  const kind = chosen ?? kinds.find((each) => isSame(each, SERVICES)) ?? kinds[0]!;
  const shown = kinds.filter((each) =>
    `${each.kind} ${each.plural} ${each.group}`.toLowerCase().includes(wanted.toLowerCase()),
  );
  const twice = new Set(kinds.map((each) => each.plural).filter((name, at, all) => all.indexOf(name) !== at));
  const options = shown.map((each) => ({
    value: nameOf(each),
    name: twice.has(each.plural) ? `${each.plural} · ${each.group || 'core'}` : each.plural,
  }));
  const wide = room === 'desktop';
  return (
    <>
      <ScreenHead title="API explorer" about="Everything this page does, any program can: these are the same paths.">
        <Button label="OpenAPI document" onPress={() => void open(documentOf(kind))} />
        <CopyAs copies={{ kubectl: `kubectl explain ${kind.plural} --recursive`, curl: curl(documentOf(kind)) }} />
      </ScreenHead>
      <Search value={wanted} onChange={setWanted} what="kinds" />
      <Choice
        label="Kind"
        options={options}
        chosen={nameOf(kind)}
        onChoose={(name) => setChosen(kinds.find((each) => nameOf(each) === name) ?? null)}
      />
      <View key={nameOf(kind)} style={wide ? layout.columns : layout.columnsPhone}>
        <View style={wide ? layout.main : layout.stackWide}>
          <Operations kind={kind} />
        </View>
        <View style={wide ? layout.side : layout.stackWide}>
          <FieldsOf kind={kind} />
        </View>
      </View>
    </>
  );
}

function nameOf(kind: Kind): string {
  return `${kind.plural}.${kind.group}`;
}

/** In a tab of its own; a plain link could not carry the token. */
async function open(path: string): Promise<void> {
  const answer = await (await raw(path)).blob();
  window.open(URL.createObjectURL(new Blob([answer], { type: 'application/json' })), '_blank', 'noopener');
}

function Operations({ kind }: { kind: Kind }) {
  const items = useResources(kind).items;
  const first = items[0]?.metadata;
  const [typed, setTyped] = useState<string | null>(null);
  const name = typed ?? first?.name ?? 'NAME';
  const found = items.find((each) => each.metadata.name === name)?.metadata;
  const namespace = kind.namespaced ? (found?.namespace ?? 'default') : '';
  const operations = operationsOf(kind, namespace, name);
  const [tried, setTried] = useState<Operation | null>(null);
  return (
    <>
      <Panel
        title={kind.kind}
        named
        note={apiVersion(kind)}
        right={
          <TextLink to={listPage(kind)} strong={false}>
            Its screen
          </TextLink>
        }
      >
        <View style={layout.stackWide}>
          <View style={detail.alone}>
            <Field label="Name" value={name} onChange={setTyped} hint={`${items.length} exist.`} />
          </View>
          <View role="list" aria-label="What can be asked">
            {operations.map((each, index) => (
              <View key={each.verb} role="listitem" style={[home.item, index === 0 && home.itemFirst]}>
                <Text style={[text.mono, forms.method]}>{each.method}</Text>
                <View style={layout.grow}>
                  <Text style={text.strong}>{each.verb}</Text>
                  <Text selectable style={[text.mono, { overflowWrap: 'anywhere' }]}>
                    {each.path}
                  </Text>
                </View>
                {each.reads && (
                  <Button label={`Try ${each.verb}`} look="golden" onPress={() => setTried({ ...each })} />
                )}
              </View>
            ))}
          </View>
        </View>
      </Panel>
      {tried && <Answer operation={tried} />}
    </>
  );
}

interface Answered {
  status: string;
  body: string;
}

/** What the server said, as it said it. */
function Answer({ operation }: { operation: Operation }) {
  const [answer, setAnswer] = useState<Answered | null>(null);
  useEffect(() => {
    let gone = false;
    setAnswer(null);
    void asked(operation.path).then((found) => gone || setAnswer(found));
    return () => {
      gone = true;
    };
  }, [operation]);
  return (
    <Panel title="Answer" note={answer?.status}>
      <View style={layout.stack}>
        <Snippet name="curl" code={curl(operation.path)} />
        <View style={[forms.code, detail.answer]} testID="answer" tabIndex={0} role="group" aria-label="Answer">
          <Text selectable style={[text.mono, { whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }]}>
            {answer?.body ?? 'asking…'}
          </Text>
        </View>
      </View>
    </Panel>
  );
}

async function asked(path: string): Promise<Answered> {
  try {
    const began = performance.now();
    const response = await raw(path);
    const told = JSON.stringify(await response.json(), null, 2);
    const body = told.length > MOST_TEXT ? `${told.slice(0, MOST_TEXT)}\n…` : told;
    return { status: `${response.status} · ${Math.round(performance.now() - began)} ms`, body };
  } catch (error) {
    const { what, next } = inWords(error);
    return { status: 'refused', body: `${what}\n${next}` };
  }
}

function FieldsOf({ kind }: { kind: Kind }) {
  const schema = useSchema(kind);
  const fields = useMemo(() => fieldsOf(schema ?? null), [schema]);
  return (
    <Panel title="Fields" note={schema === undefined ? 'reading…' : undefined}>
      {schema !== undefined && fields.length === 0 ? (
        <Text style={text.soft}>It publishes no schema.</Text>
      ) : (
        <FieldList fields={fields} />
      )}
    </Panel>
  );
}
