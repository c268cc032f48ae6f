import { useEffect, useState } from 'react';
import { Text, View } from 'react-native';

import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { readConfiguration, type Answer, type BucketConfiguration } from '../utils/bucketConfiguration';
import { blockTold, type Ownership } from '../utils/exposure';
import { actionsTold, subjectTold, type LifecycleRule } from '../utils/lifecycle';
import { bytes } from '../utils/quantities';
import type { Resource } from '../utils/resources';
import { BucketReaders } from './BucketReaders';
import { Button } from './Button';
import { Fact, Facts } from './Facts';
import { KeyLink } from './KeyLink';
import { Loading } from './Loading';
import { Meter } from './Meter';
import { Panel } from './Panel';
import { ServiceOff } from './ServiceOff';
import { StatusMark } from './StatusMark';

/** A bucket: what it holds, how it is protected, who can read it, and what goes by itself. */
export function BucketPanels({ bucket }: { bucket: Resource }) {
  const name = bucket.metadata.name;
  const [found, setFound] = useState<BucketConfiguration | null>(null);
  const [round, setRound] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    readConfiguration(name, stop.signal).then(setFound, () => undefined);
    return () => stop.abort();
  }, [name, round]);
  return (
    <>
      <ServiceOff speaks="s3" what="Its configuration cannot be read" />
      <Usage bucket={bucket} />
      {!found && <Loading what="its configuration" />}
      {found && (
        <>
          <BucketReaders bucket={bucket} found={found} />
          <Protection bucket={bucket} found={found} onAgain={() => setRound(round + 1)} />
          <Lifecycle rules={found.lifecycle} versioned={found.versioning.value === 'Enabled'} />
        </>
      )}
    </>
  );
}

function Usage({ bucket }: { bucket: Resource }) {
  const { spec = {}, status = {} } = bucket;
  const quota = (spec.quota ?? {}) as { bytes?: number; objects?: number };
  const [held, count] = [(status.bytes ?? 0) as number, (status.objects ?? 0) as number];
  return (
    <Panel title="Usage" note="as last counted">
      <View style={layout.stack}>
        <Facts>
          <Fact name="Objects">{count.toLocaleString('en')}</Fact>
          <Fact name="Size">{bytes(held)}</Fact>
          <Fact name="Quota">{quotaTold(quota)}</Fact>
        </Facts>
        {quota.bytes ? (
          <Meter label="Size" part={held} whole={quota.bytes} told={`${bytes(held)} of ${bytes(quota.bytes)}`} />
        ) : null}
        {quota.objects ? (
          <Meter label="Objects" part={count} whole={quota.objects} told={`${count} of ${quota.objects}`} />
        ) : null}
      </View>
    </Panel>
  );
}

function quotaTold({ bytes: size, objects }: { bytes?: number; objects?: number }): string {
  const parts = [size !== undefined && bytes(size), objects !== undefined && `${objects} objects`].filter(Boolean);
  return parts.join(', ') || 'none';
}

const OWNERSHIP: Record<Ownership, string> = {
  BucketOwnerEnforced: 'Everything is the bucket owner’s; access control lists do not count',
  BucketOwnerPreferred: 'Objects are the bucket owner’s where their writer says so; access control lists count',
  ObjectWriter: 'Objects are their writer’s; access control lists count',
};

interface ProtectionProps {
  bucket: Resource;
  found: BucketConfiguration;
  onAgain: () => void;
}

function Protection({ bucket, found, onAgain }: ProtectionProps) {
  const { namespace = 'default' } = bucket.metadata;
  const encryption = (bucket.spec?.encryption ?? {}) as { enabled?: boolean; key?: string };
  const versioning = {
    Enabled: 'on: every version is kept',
    Suspended: 'suspended: what is written replaces',
    never: 'off',
  };
  return (
    <Panel title="Protection" right={<Button label="Read again" onPress={onAgain} />}>
      <Facts>
        <Fact name="Versioning">{told(found.versioning, (value) => versioning[value])}</Fact>
        <Fact name="Default encryption">
          {encryption.enabled === false ? (
            'none: objects lie as they come'
          ) : (
            <KeyLink name={encryption.key ?? 'alias/aws/s3'} namespace={namespace} />
          )}
        </Fact>
        <Fact name="Ownership">{told(found.ownership, (value) => OWNERSHIP[value])}</Fact>
        <Fact name="Public access block">{told(found.block, blockTold)}</Fact>
      </Facts>
    </Panel>
  );
}

function told<T>(answer: Answer<T>, words: (value: T) => string): string {
  return answer.refused === undefined ? words(answer.value) : `not read: ${answer.refused}`;
}

function Lifecycle({ rules, versioned }: { rules: Answer<LifecycleRule[]>; versioned: boolean }) {
  const { value = [], refused } = rules;
  return (
    <Panel title="Lifecycle">
      {refused !== undefined && <Text style={text.soft}>{`Not read: ${refused}`}</Text>}
      {refused === undefined && value.length === 0 && (
        <Text style={text.soft}>No rules: everything stays until somebody deletes it.</Text>
      )}
      <View role="list" aria-label="Rules">
        {value.map((rule, index) => (
          <View key={rule.id} role="listitem" style={[home.feedRow, index === 0 && home.itemFirst]}>
            <View style={[layout.grow, layout.tight]}>
              <Text style={[text.strong, { overflowWrap: 'anywhere' }]}>{subjectTold(rule)}</Text>
              {actionsTold(rule, versioned).map((each) => (
                <Text key={each} style={text.body}>
                  {each}
                </Text>
              ))}
              <Text style={[text.faint, { overflowWrap: 'anywhere' }]}>{rule.id}</Text>
            </View>
            {!rule.enabled && <StatusMark health="idle" word="Disabled" />}
          </View>
        ))}
      </View>
    </Panel>
  );
}
