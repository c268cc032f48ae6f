import { Suspense, useEffect, useState } from 'react';
import { Text, View } from 'react-native';

import { Age } from '../components/Age';
import { Button } from '../components/Button';
import { Conditions, isWorthTelling } from '../components/Conditions';
import { CopyAs } from '../components/CopyAs';
import { DetailActions } from '../components/DetailActions';
import { Empty, Failed } from '../components/Empty';
import { Fact, Facts } from '../components/Facts';
import { EventFeed } from '../components/EventFeed';
import { History } from '../components/History';
import { Loading } from '../components/Loading';
import { LogView } from '../components/LogView';
import { MorePanels } from '../components/MorePanels';
import { ObjectBrowser } from '../components/ObjectBrowser';
import { Panel } from '../components/Panel';
import { ScreenHead } from '../components/ScreenHead';
import { ServicePanels } from '../components/ServicePanels';
import { SpecTable } from '../components/SpecTable';
import { StatusMark } from '../components/StatusMark';
import { TabBar } from '../components/TabBar';
import { WorkerPanels } from '../components/WorkerPanels';
import { useLayout } from '../hooks/useLayout';
import { useObservable } from '../hooks/useObservable';
import { useResources } from '../hooks/useResources';
import { useMay } from '../hooks/useMay';
import { useSchema } from '../hooks/useSchema';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { asTab } from '../utils/copyas';
import { stateOf } from '../utils/health';
import { withoutDocuments } from '../utils/identities';
import { lazily } from '../utils/lazily';
import { listPage, pageOf } from '../utils/routes';
import { wish } from '../utils/wishes';
import {
  EVENTS,
  type Condition,
  type Event,
  type Instance,
  type Kind,
  type Resource,
  type Service,
  type Worker,
  isSame,
  POD_EXEC,
  wishOf,
  SERVICES,
  WORKERS,
  BUCKETS,
  IAM_GROUPS,
  IAM_POLICIES,
  IAM_ROLES,
  IAM_USERS,
  KEYS,
  MANAGED_SECRETS,
  USERS,
} from '../utils/resources';
import { useKind } from '../hooks/useKind';
import { TextLink } from '../components/TextLink';

const BucketPanels = lazily(() => import('../components/BucketPanels'), 'BucketPanels');
const IdentityPanels = lazily(() => import('../components/IdentityPanels'), 'IdentityPanels');
const KeyPanels = lazily(() => import('../components/KeyPanels'), 'KeyPanels');
const SecretPanels = lazily(() => import('../components/SecretPanels'), 'SecretPanels');
const PolicyPanels = lazily(() => import('../components/PolicyPanels'), 'PolicyPanels');
const TerminalView = lazily(() => import('../components/TerminalView'), 'TerminalView');
const YamlEditor = lazily(() => import('../components/YamlEditor'), 'YamlEditor');

const IAM = [IAM_USERS, IAM_GROUPS, IAM_ROLES, IAM_POLICIES];

interface Props {
  group: string;
  version: string;
  plural: string;
  namespace: string;
  name: string;
  tab: string;
}

/** One resource of any kind; services, workers and buckets show more. */
export function ResourceDetail({ group, version, plural, namespace, name, tab }: Props) {
  const kind = useKind(group, version, plural);
  const { items, state, error } = useResources(kind);
  const mayRun = useMay(POD_EXEC, 'create', namespace);
  const resource = items.find((each) => each.metadata.name === name && (each.metadata.namespace ?? '') === namespace);
  if (!resource && state === 'loading') return <Loading what={`${kind.kind} ${name}`} />;
  if (!resource && state === 'refused') return <Failed error={error} />;
  if (!resource) {
    return (
      <Empty title={`${kind.kind} ${name} does not exist`} next="It may have been deleted, or its name is another one.">
        <TextLink to={listPage(kind)}>{`All ${plural}`}</TextLink>
      </Empty>
    );
  }
  const tabs = tabsOf(kind, mayRun);
  const here = tabs.some((each) => each.id === tab) ? tab : '';
  const now = stateOf(kind, resource);
  const about = (
    <View style={[layout.rowWide, { flexWrap: 'wrap', rowGap: 2 }]}>
      <Text style={text.soft}>
        {kind.kind}
        {namespace ? ` in ${namespace}` : ''}
      </Text>
      {now.word ? <StatusMark {...now} /> : null}
    </View>
  );
  return (
    <>
      <View style={layout.stack}>
        <TextLink to={listPage(kind)} strong={false}>{`← ${title(plural)}`}</TextLink>
        <ScreenHead title={name} named about={about}>
          <Actions kind={kind} resource={resource} />
          <CopyAs copies={asTab(kind, resource, here)} resources={[resource]} />
        </ScreenHead>
      </View>
      <TabBar tabs={tabs.map((each) => ({ ...each, to: pageOf(kind, resource, each.id) }))} here={here} />
      <TabBody tab={here} kind={kind} resource={resource} />
    </>
  );
}

/** On a phone behind one button: six of them would fill the screen. */
function Actions({ kind, resource }: { kind: Kind; resource: Resource }) {
  const { phone } = useLayout();
  const [open, setOpen] = useState(false);
  const may = useMay(kind, 'patch', resource.metadata.namespace);
  const asked = useObservable(wish);
  useEffect(() => {
    if (asked) setOpen(true);
  }, [asked]);
  if (!phone) return <DetailActions kind={kind} resource={resource} />;
  return (
    <>
      {may && <Button label={open ? 'Fewer actions' : 'Actions'} icon="more" onPress={() => setOpen(!open)} />}
      {open && <DetailActions kind={kind} resource={resource} />}
    </>
  );
}

function title(plural: string): string {
  return plural[0]!.toUpperCase() + plural.slice(1);
}

function tabsOf(kind: Kind, mayRun: boolean): { id: string; name: string }[] {
  const logs = isSame(kind, SERVICES) ? [{ id: 'logs', name: 'Logs' }] : [];
  const terminal = isSame(kind, SERVICES) && mayRun ? [{ id: 'terminal', name: 'Terminal' }] : [];
  const objects = isSame(kind, BUCKETS) ? [{ id: 'objects', name: 'Objects' }] : [];
  return [
    { id: '', name: 'Overview' },
    ...objects,
    ...logs,
    ...terminal,
    { id: 'yaml', name: 'YAML' },
    { id: 'history', name: 'History' },
  ];
}

function TabBody({ tab, kind, resource }: { tab: string; kind: Kind; resource: Resource }) {
  const { name, namespace = '' } = resource.metadata;
  const may = useMay(kind, 'patch', namespace);
  const instances = ((resource.status?.instances ?? []) as Instance[]).map((each) => each.name);
  switch (tab) {
    case 'logs':
      return <LogView namespace={namespace} service={name} instances={instances} />;
    case 'terminal':
      return (
        <Suspense fallback={<Loading what="the terminal" />}>
          <TerminalView namespace={namespace} instances={instances} />
        </Suspense>
      );
    case 'objects':
      return <ObjectBrowser bucket={name} may={may} />;
    case 'yaml':
      return <Yaml kind={kind} resource={resource} may={may} />;
    case 'history':
      return <History kind={kind} resource={resource} may={may} />;
    default:
      return <Overview kind={kind} resource={resource} />;
  }
}

function Yaml({ kind, resource, may }: { kind: Kind; resource: Resource; may: boolean }) {
  const schema = useSchema(kind) ?? null;
  // Its values are not shown here, so its text is no manifest that could be applied.
  const secret = resource.kind === 'Secret';
  return (
    <Suspense fallback={<Loading what="the editor" />}>
      {secret && <Text style={text.soft}>The values of a secret are not shown. Change it with kubectl.</Text>}
      <YamlEditor kind={kind} resource={resource} mayWrite={may && !secret} schema={schema} onDone={() => undefined} />
    </Suspense>
  );
}

function Overview({ kind, resource }: { kind: Kind; resource: Resource }) {
  const { layout: room } = useLayout();
  const { name } = resource.metadata;
  const events = useResources<Event>(EVENTS).items;
  const mine = events.filter((each) => each.involvedObject.uid === resource.metadata.uid);
  const conditions: Condition[] = (resource.status?.conditions ?? []).filter(isWorthTelling);
  const wide = room === 'desktop';
  return (
    <View style={wide ? layout.columns : layout.columnsPhone}>
      <View style={wide ? layout.main : layout.stackWide}>
        {isSame(kind, SERVICES) && <ServicePanels service={resource as Service} />}
        {isSame(kind, WORKERS) && <WorkerPanels worker={resource as Worker} />}
        <Suspense fallback={<Loading what="more" />}>
          {isSame(kind, USERS) && <IdentityPanels user={resource} />}
          {isSame(kind, BUCKETS) && <BucketPanels key={name} bucket={resource} />}
          {isSame(kind, KEYS) && <KeyPanels key_={resource} />}
          {isSame(kind, MANAGED_SECRETS) && <SecretPanels secret={resource} />}
          <MorePanels kind={kind} resource={resource} />
          {IAM.some((each) => isSame(each, kind)) && <PolicyPanels kind={kind} resource={resource} />}
        </Suspense>
        {conditions.length > 0 && (
          <Panel title="Conditions">
            <Conditions conditions={conditions} />
          </Panel>
        )}
        <Panel title="Spec">
          <SpecTable value={shownSpec(kind, resource)} none="Nothing is set: the defaults." />
        </Panel>
      </View>
      <View style={wide ? layout.side : layout.stackWide}>
        <Panel title="Facts">
          <Facts>
            <Fact name="Age">
              <Age of={resource.metadata.creationTimestamp} />
            </Fact>
            <Fact name="Version">{resource.metadata.resourceVersion ?? ''}</Fact>
            <Fact name="Generation">{resource.metadata.generation ?? 1}</Fact>
            {!isSame(kind, SERVICES) && !isSame(kind, WORKERS) && (
              <SpecTable value={plainStatus(kind, resource)} none="" />
            )}
          </Facts>
        </Panel>
        <Panel title="Events" note="the last hour">
          <EventFeed events={mine} most={12} />
        </Panel>
      </View>
    </View>
  );
}

/** Documents of policies are drawn on their own. */
function shownSpec(kind: Kind, resource: Resource): Record<string, unknown> {
  const spec = wishOf(resource);
  return isSame(kind, KEYS) || isSame(kind, MANAGED_SECRETS) || IAM.some((each) => isSame(each, kind))
    ? withoutDocuments(spec)
    : spec;
}

/** Versions of secrets have a panel of their own. */
function plainStatus(kind: Kind, resource: Resource): Record<string, unknown> {
  const { conditions: _conditions, observedGeneration: _seen, versions, ...rest } = resource.status ?? {};
  return isSame(kind, MANAGED_SECRETS) ? rest : { ...rest, versions };
}
