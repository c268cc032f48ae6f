import { useCallback, useEffect, useMemo, useState } from 'react';
import { Text, View } from 'react-native';

import { AccessAnswer } from '../components/AccessAnswer';
import { Button } from '../components/Button';
import { CopyAs } from '../components/CopyAs';
import { DataTable, type Column } from '../components/DataTable';
import { Empty, Failed } from '../components/Empty';
import { Choice, Field } from '../components/Field';
import { Loading } from '../components/Loading';
import { Panel } from '../components/Panel';
import { ScreenHead } from '../components/ScreenHead';
import { StatusMark } from '../components/StatusMark';
import { TextLink } from '../components/TextLink';
import { useMay } from '../hooks/useMay';
import { useObservable } from '../hooks/useObservable';
import { useQuery, useQueryChoice } from '../hooks/useQuery';
import { useWho } from '../hooks/useSession';
import { access } from '../styles/access';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import {
  accessPage,
  attributesOf,
  denials,
  explain,
  questionOf,
  targetOf,
  whoMay,
  wordOf,
  type Attributes,
  type Denial,
  type Explanation,
} from '../utils/access';
import { ask } from '../utils/api';
import { curl } from '../utils/copyas';
import { kinds as kindsSeen } from '../utils/discovery';
import { inWords } from '../utils/errors';
import { KEYS, place, type Kind, type Resource } from '../utils/resources';
import { go } from '../utils/routes';
import { momentTold } from '../utils/time';

const SHOWN = [
  { value: 'ask', name: 'May they?' },
  { value: 'who', name: 'Who may?' },
  { value: 'refused', name: 'Refusals' },
] as const;
const WHO_MAY: Kind = {
  group: 'authorization.aerekos.cloud',
  version: 'v1',
  plural: 'resourceaccessreviews',
  kind: 'ResourceAccessReview',
  namespaced: false,
};

/** Who may do what, and why; why something was refused. Roles and policies side by side. */
export function Access() {
  const mayAll = useMay(WHO_MAY, 'create');
  const options = mayAll ? SHOWN : SHOWN.filter(({ value }) => value !== 'who');
  const [show, setShow] = useQueryChoice(
    'show',
    SHOWN.map(({ value }) => value),
  );
  return (
    <>
      <ScreenHead title="Access" about="Who may do what, and which role, statement or grant says so.">
        <CopyAs copies={COPIES[show]} />
      </ScreenHead>
      <Choice label="What to ask" options={options} chosen={show} onChoose={setShow} />
      {show === 'refused' ? <Refusals /> : <Question key={show} everybody={show === 'who'} mayOthers={mayAll} />}
    </>
  );
}

const path = (plural: string) => `/apis/authorization.aerekos.cloud/v1/${plural}`;
const copies = (aerekos: string, plural: string) => ({
  aerekos,
  kubectl: 'kubectl auth can-i get secrets',
  curl: curl(path(plural), '-H "Content-Type: application/json" -d @question.json '),
});
const COPIES = {
  ask: copies('aerekos can-i kms:Decrypt key/NAME --as USER', 'accessexplanations'),
  who: copies('aerekos who-can kms:Decrypt key/NAME', 'resourceaccessreviews'),
  refused: copies('aerekos why', 'denialreviews'),
};

function Question({ everybody, mayOthers }: { everybody: boolean; mayOthers: boolean }) {
  const me = useWho();
  const kinds = useObservable(kindsSeen);
  const [who, setWho] = useQuery('who');
  const [does, setDoes] = useQuery('does');
  const [what, setWhat] = useQuery('what');
  const [place_, setPlace] = useQuery('ns');
  const namespace = place_ || me?.namespace || 'default';
  const [state, setState] = useState<Answer>({});
  const put = useCallback(async () => {
    try {
      const arn = await arnOfKey(does, what, namespace);
      const attributes = attributesOf({ who, does, what, namespace }, kinds, () => arn);
      setState(await answered(everybody, who, attributes));
    } catch (refused) {
      const { what: words, next } = inWords(refused);
      setState({ error: [words, next].filter(Boolean).join(' ') });
    }
  }, [who, does, what, namespace, kinds, everybody]);
  // An address with a whole question in it is answered at once.
  const [arrived] = useState(Boolean(does));
  const ready = arrived && kinds.length > 0;
  useEffect(() => {
    if (ready) void put();
    // Only once: what is typed afterwards waits for the button.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [ready]);
  // An ARN says itself where it is, and a bucket is where its caller is.
  const placed = !does.includes(':') || /^keys?\//.test(what);
  const ask = { onSubmit: () => void put() };
  return (
    <>
      <Panel title={everybody ? 'Who may' : 'May somebody'}>
        <View style={layout.stackWide}>
          <View style={access.question}>
            {!everybody && mayOthers && (
              <Field
                label="Who"
                value={who}
                onChange={setWho}
                hint="Empty: you. A user, or an ARN."
                id="who"
                {...ask}
              />
            )}
            <Field
              label="Does"
              value={does}
              onChange={setDoes}
              hint="get, delete, use … or kms:Decrypt"
              id="does"
              {...ask}
            />
            <Field
              label="To"
              value={what}
              onChange={setWhat}
              hint="KIND/NAME, an ARN, or * for all"
              id="what"
              {...ask}
            />
            {placed && (
              <Field label="In" value={place_} onChange={setPlace} hint={`Namespace; empty: ${namespace}`} {...ask} />
            )}
          </View>
          {state.error && (
            <Text role="alert" style={text.soft}>
              {state.error}
            </Text>
          )}
          <View style={layout.row}>
            <Button label={everybody ? 'Show who' : 'Ask'} look="primary" onPress={() => void put()} id="ask" />
          </View>
        </View>
      </Panel>
      {state.one && <AccessAnswer found={state.one} />}
      {state.all && <Everybody found={state.all} question={{ does, what, namespace: place_ }} />}
    </>
  );
}

interface Answer {
  error?: string;
  one?: Explanation;
  all?: Explanation[];
}

async function answered(everybody: boolean, who: string, attributes: Attributes): Promise<Answer> {
  return everybody ? { all: await whoMay(attributes) } : { one: await explain(who, attributes) };
}

/** What KMS calls a key that was named as it is here. */
async function arnOfKey(does: string, what: string, namespace: string): Promise<string> {
  const name = /^keys?\/(.+)$/.exec(what)?.[1];
  if (!does.includes(':') || !name) return '';
  return (await ask<Resource>(place(KEYS, name, namespace))).status?.arn ?? '';
}

function Everybody({
  found,
  question,
}: {
  found: readonly Explanation[];
  question: { does: string; what: string; namespace: string };
}) {
  const columns = useMemo(() => subjectColumns(question), [question.does, question.what, question.namespace]); // eslint-disable-line react-hooks/exhaustive-deps
  return (
    <Panel title="Those who may" note={String(found.length)} flush>
      {found.length ? (
        <DataTable label="Who may" columns={columns} rows={found} keyOf={keyOfSubject} />
      ) : (
        <Empty title="Nobody may" next="Neither a role nor a policy gives it to anybody." />
      )}
    </Panel>
  );
}

function keyOfSubject({ subject }: Explanation): string {
  return `${subject.kind}/${subject.namespace ?? ''}/${subject.name}`;
}

function subjectColumns(question: { does: string; what: string; namespace: string }): Column<Explanation>[] {
  const named = (each: Explanation) =>
    each.subject.kind === 'ServiceAccount'
      ? `system:serviceaccount:${each.subject.namespace}:${each.subject.name}`
      : each.subject.name;
  return [
    {
      name: 'Who',
      width: 1.2,
      phone: 'name',
      by: (each) => each.subject.name,
      cell: (each) =>
        ['User', 'ServiceAccount'].includes(each.subject.kind) ? (
          <TextLink to={accessPage({ ...question, who: named(each) })}>{each.subject.name}</TextLink>
        ) : (
          <Text style={text.strong}>{each.subject.name}</Text>
        ),
    },
    {
      name: 'Kind',
      width: 150,
      fixed: true,
      phone: 'beside',
      by: (each) => each.subject.kind,
      cell: (each) => <Text style={text.faint}>{each.subject.kind}</Text>,
    },
    {
      name: 'Roles',
      width: 110,
      fixed: true,
      cell: (each) => (
        <StatusMark health={each.roles.allowed ? 'well' : 'idle'} word={each.roles.allowed ? 'Allow' : 'Silent'} />
      ),
    },
    {
      name: 'Policies',
      width: 110,
      fixed: true,
      cell: (each) => (
        <StatusMark health={each.policies.outcome === 'allowed' ? 'well' : 'idle'} word={wordOf(each.policies)} />
      ),
    },
    {
      name: 'Because',
      width: 2.4,
      phone: 'whole',
      cell: (each) => <Text style={[text.small, { overflowWrap: 'anywhere' }]}>{each.reason}</Text>,
    },
  ];
}

function Refusals() {
  const [found, setFound] = useState<readonly Denial[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    denials().then(setFound, setError);
  }, []);
  if (error) return <Failed error={error} />;
  if (!found) return <Loading what="refusals" />;
  return (
    <Panel flush>
      {found.length ? (
        <DataTable label="Refusals" columns={REFUSED} rows={found} keyOf={keyOfDenial} main />
      ) : (
        <Empty title="Nothing was refused lately" next="Refusals appear here for a while, by their request id." />
      )}
    </Panel>
  );
}

function keyOfDenial(each: Denial): string {
  return `${each.requestId} ${each.time} ${each.principal}`;
}

const REFUSED: Column<Denial>[] = [
  {
    name: 'When',
    width: 132,
    fixed: true,
    phone: 'beside',
    cell: (each) => <Text style={text.small}>{momentTold(each.time, Date.now())}</Text>,
  },
  {
    name: 'Who',
    width: 0.8,
    phone: 'name',
    by: (each) => each.principal,
    cell: (each) => <Text style={text.strong}>{each.principal || 'nobody was proven'}</Text>,
  },
  {
    name: 'Wanted',
    width: 1.6,
    phone: 'whole',
    cell: (each) => (
      <Text style={[text.small, { overflowWrap: 'anywhere' }]}>
        {each.action} {targetOf(each)}
      </Text>
    ),
  },
  {
    name: 'Because',
    width: 2,
    phone: 'whole',
    cell: (each) => (
      <Text style={[text.faint, { overflowWrap: 'anywhere' }]} numberOfLines={3}>
        {each.reason}
      </Text>
    ),
  },
  {
    name: '',
    width: 92,
    fixed: true,
    end: true,
    cell: (each) => {
      const question = questionOf(each);
      return question ? <Button label="Why" onPress={() => go(accessPage(question))} /> : null;
    },
  },
];
