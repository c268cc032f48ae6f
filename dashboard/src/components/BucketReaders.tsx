import { Text, View } from 'react-native';

import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { accessPage } from '../utils/access';
import { sideOf, type BucketConfiguration } from '../utils/bucketConfiguration';
import { exposureOf, type Exposure, type Reader } from '../utils/exposure';
import type { Resource } from '../utils/resources';
import { Panel } from './Panel';
import { PolicyDocument } from './PolicyDocument';
import { StatusMark } from './StatusMark';
import { TextLink } from './TextLink';

const REACH = {
  everybody: { health: 'bad', word: 'Public' },
  accounts: { health: 'warn', word: 'Other accounts' },
  own: { health: 'well', word: 'This account' },
} as const;

/** Who can read a bucket, in a sentence, with what says so. */
export function BucketReaders({ bucket, found }: { bucket: Resource; found: BucketConfiguration }) {
  const { name, namespace = 'default' } = bucket.metadata;
  const side = sideOf(name, found);
  if (typeof side === 'string') {
    return (
      <Panel title="Who can read it" right={<StatusMark health="unknown" word="Not known" />}>
        <Text style={text.soft}>{`It cannot be told here, for not all of its rules could be read: ${side}`}</Text>
      </Panel>
    );
  }
  const exposure = exposureOf(side);
  return (
    <Panel title="Who can read it" right={<StatusMark {...REACH[exposure.reach]} />}>
      <View style={layout.stackWide}>
        <View style={layout.stack}>
          <Verdict exposure={exposure} />
          <TextLink
            to={accessPage({ does: 's3:GetObject', what: `bucket/${name}/*`, namespace }, 'who')}
            strong={false}
          >
            Who may by roles and policies of IAM
          </TextLink>
        </View>
        {exposure.readers.length > 0 && <Readers readers={exposure.readers} />}
        {side.policy ? <PolicyDocument document={side.policy} /> : <Text style={text.soft}>It has no policy.</Text>}
      </View>
    </Panel>
  );
}

function Verdict({ exposure }: { exposure: Exposure }) {
  return (
    <>
      <Text style={text.body}>{exposure.verdict}</Text>
      {exposure.remarks.map((each) => (
        <Text key={each} style={text.soft}>
          {each}
        </Text>
      ))}
    </>
  );
}

function Readers({ readers }: { readers: readonly Reader[] }) {
  return (
    <View role="list" aria-label="Readers">
      {readers.map(({ who, does, limits, counts }, index) => (
        <View key={index} role="listitem" style={[home.feedRow, index === 0 && home.itemFirst]}>
          <View style={layout.grow}>
            <Text style={[counts ? text.strong : text.soft, { overflowWrap: 'anywhere' }]}>{`${who}: ${does}`}</Text>
            {limits ? <Text style={[text.small, { overflowWrap: 'anywhere' }]}>{limits}</Text> : null}
          </View>
        </View>
      ))}
    </View>
  );
}
