import { Text, View } from 'react-native';

import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { endTold, membersOf, moreOf, parametersOf, readinessOf, type Member } from '../utils/databases';
import { SERVICES, type Resource } from '../utils/resources';
import { pageOf } from '../utils/routes';
import { DatabaseBackups } from './DatabaseBackups';
import { DatabaseUsers } from './DatabaseUsers';
import { Fact, Facts } from './Facts';
import { Panel } from './Panel';
import { StatusMark } from './StatusMark';
import { TextLink } from './TextLink';

/** A database: whether it answers, its servers, how to connect, and which of its moments can be brought back. */
export function DatabasePanels({ resource: database }: { resource: Resource }) {
  return (
    <>
      <State database={database} />
      <DatabaseUsers database={database} />
      <DatabaseBackups database={database} />
      <Parameters database={database} />
    </>
  );
}

function State({ database }: { database: Resource }) {
  const { namespace } = database.metadata;
  const { spec = {}, status = {} } = database;
  const { ready, about } = readinessOf(database);
  const members = membersOf(database);
  const restore = status.restore as { phase?: string; bytes?: number } | undefined;
  return (
    <Panel
      title="State"
      right={
        spec.enabled === false ? (
          <StatusMark health="idle" word="Stopped" />
        ) : (
          <StatusMark health={ready ? 'well' : 'warn'} word={ready ? 'Ready' : 'Not ready'} />
        )
      }
    >
      <View style={layout.stackWide}>
        {!ready && <Text style={text.body}>{about}</Text>}
        <Facts>
          <Fact name="Engine">{`${spec.engine} ${status.version || spec.version || ''}`}</Fact>
          <Fact name="Address">{status.endpoint ? `${status.endpoint.host}:${status.endpoint.port}` : 'none yet'}</Fact>
          <Fact name="First database">{(status.database || 'not made yet') as string}</Fact>
          <Fact name="When it is deleted">{endTold(database)}</Fact>
          {restore?.phase && restore.phase !== 'Done' ? <Fact name="Begins with a backup">{restore.phase}</Fact> : null}
        </Facts>
        <View role="list" aria-label="Servers">
          {members.length === 0 && <Text style={text.soft}>It has no server yet.</Text>}
          {members.map((each, index) => (
            <Server key={each.name} member={each} namespace={namespace} first={index === 0} />
          ))}
        </View>
      </View>
    </Panel>
  );
}

function Server({ member, namespace, first }: { member: Member; namespace?: string; first: boolean }) {
  const { name, role, ready, address, message } = member;
  const about = [address, moreOf(member), message].filter(Boolean).join(' · ');
  return (
    <View role="listitem" style={[home.feedRow, first && home.itemFirst, { flexWrap: 'wrap' }]}>
      <View style={[layout.grow, layout.tight, { minWidth: 180 }]}>
        <TextLink to={pageOf(SERVICES, { metadata: { name, namespace } })}>{name}</TextLink>
        {about ? <Text style={[text.small, { overflowWrap: 'anywhere' }]}>{about}</Text> : null}
      </View>
      <Text style={text.small}>{role === 'unknown' ? 'role not known' : role}</Text>
      <StatusMark health={ready ? 'well' : 'warn'} word={ready ? 'Ready' : 'Not ready'} />
    </View>
  );
}

function Parameters({ database }: { database: Resource }) {
  const all = parametersOf(database);
  return (
    <Panel title="Parameters" note="of the server; change them in YAML">
      {all.length === 0 && <Text style={text.soft}>None is set: those of the engine count.</Text>}
      <View role="list" aria-label="Parameters">
        {all.map(({ name, value, note }, index) => (
          <View key={name} role="listitem" style={[home.feedRow, index === 0 && home.itemFirst, { flexWrap: 'wrap' }]}>
            <Text style={[text.body, { minWidth: 190 }]}>{name}</Text>
            <Text style={[text.mono, layout.grow, { overflowWrap: 'anywhere' }]}>{value}</Text>
            {note ? <Text style={text.small}>{note}</Text> : null}
          </View>
        ))}
      </View>
    </Panel>
  );
}
