import { useState } from 'react';
import { Text, View } from 'react-native';

import { useMay } from '../hooks/useMay';
import { useNow } from '../hooks/useNow';
import { useResources } from '../hooks/useResources';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { create } from '../utils/actions';
import { newBackup, windowOf } from '../utils/databases';
import { inWords } from '../utils/errors';
import { healthOfWord } from '../utils/health';
import { bytes } from '../utils/quantities';
import { conditionOf, DATABASE_BACKUPS, DATABASES, type Resource } from '../utils/resources';
import { pageOf } from '../utils/routes';
import { momentTold } from '../utils/time';
import { say } from '../utils/toasts';
import { Button } from './Button';
import { Fact, Facts } from './Facts';
import { Panel } from './Panel';
import { RestoreDialog } from './RestoreDialog';
import { StatusMark } from './StatusMark';
import { TextLink } from './TextLink';

/** Which moments of a database can be brought back, its backups, and the way to another Database that begins with one. */
export function DatabaseBackups({ database }: { database: Resource }) {
  const now = useNow(1000);
  const { name, namespace = 'default' } = database.metadata;
  const mayBack = useMay(DATABASE_BACKUPS, 'create', namespace);
  const mayRestore = useMay(DATABASES, 'create', namespace);
  const [from, setFrom] = useState<{ backup?: string } | null>(null);
  const { spec = {}, status = {} } = database;
  const kept = (status.backup ?? {}) as { bucket?: string; baseBackups?: number; size?: number };
  const window = windowOf(database);
  const told = conditionOf(database, 'BackedUp');
  const backups = useResources(DATABASE_BACKUPS).items.filter(
    (each) => each.spec?.database === name && (each.metadata.namespace ?? 'default') === namespace,
  );
  const back = () =>
    create(DATABASE_BACKUPS, newBackup(database, new Date()), 'A backup is being taken').catch((error: unknown) =>
      say('bad', `Not taken: ${inWords(error).what}`, inWords(error).next),
    );
  return (
    <Panel
      title="Backups"
      right={
        <View style={layout.wrap}>
          {mayBack && <Button label="Back up now" onPress={() => void back()} id="back-up" />}
          {mayRestore && window && (
            <Button label="Restore to a moment" look="golden" onPress={() => setFrom({})} id="restore" />
          )}
        </View>
      }
    >
      <View style={layout.stackWide}>
        {spec.backup ? (
          <>
            {told?.status === 'False' && <Text style={text.body}>{told.message || told.reason}</Text>}
            <Facts>
              <Fact name="Can be brought back">
                {window ? `${momentTold(window.from, now)} to ${momentTold(window.to, now)}` : 'no moment yet'}
              </Fact>
              <Fact name="Kept for">{`${spec.backup.retentionDays ?? 7} days`}</Fact>
              <Fact name="Whole copies">{`${kept.baseBackups ?? 0}, one every ${spec.backup.everyHours ?? 24} h`}</Fact>
              <Fact name="They take">{bytes(kept.size ?? 0)}</Fact>
              <Fact name="Lies in">{kept.bucket ? `bucket ${kept.bucket}` : 'a folder of its service'}</Fact>
            </Facts>
          </>
        ) : (
          <Text style={text.soft}>
            Its moments are not kept: set spec.backup in YAML, and each of the last days can be brought back. One copy
            of now can be taken all the same.
          </Text>
        )}
        <View role="list" aria-label="Backups">
          {backups.length === 0 && <Text style={text.soft}>None was taken by hand.</Text>}
          {backups.map((each, index) => (
            <Backup
              key={each.metadata.name}
              backup={each}
              first={index === 0}
              onRestore={mayRestore ? () => setFrom({ backup: each.metadata.name }) : undefined}
            />
          ))}
        </View>
      </View>
      {from && <RestoreDialog database={database} backup={from.backup} onClose={() => setFrom(null)} />}
    </Panel>
  );
}

function Backup({ backup, first, onRestore }: { backup: Resource; first: boolean; onRestore?: () => void }) {
  const now = useNow(1000);
  const { name } = backup.metadata;
  const { status = {} } = backup;
  const phase = (status.phase ?? 'Pending') as string;
  const about = [
    status.time && `of ${momentTold(status.time as string, now)}`,
    status.size && bytes(status.size as number),
    status.message,
  ].filter(Boolean);
  return (
    <View role="listitem" style={[home.feedRow, first && home.itemFirst, { flexWrap: 'wrap' }]}>
      <View style={[layout.grow, layout.tight, { minWidth: 180 }]}>
        <TextLink to={pageOf(DATABASE_BACKUPS, backup)}>{name}</TextLink>
        <Text style={[text.small, { overflowWrap: 'anywhere' }]}>{about.join(' · ')}</Text>
      </View>
      <StatusMark health={healthOfWord(phase)} word={phase} />
      {onRestore && phase === 'Completed' && <Button label={`Restore ${name}`} onPress={onRestore} />}
    </View>
  );
}
