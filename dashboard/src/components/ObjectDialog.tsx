import { useEffect, useState } from 'react';
import { Text, View } from 'react-native';

import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { inWords } from '../utils/errors';
import { linkTo } from '../utils/presign';
import { bytes } from '../utils/quantities';
import { factsOf, type Facts as ObjectFacts } from '../utils/s3';
import { say } from '../utils/toasts';
import { Age } from './Age';
import { Button } from './Button';
import { Snippet } from './CopyAs';
import { Dialog } from './Dialog';
import { Fact, Facts } from './Facts';
import { Choice } from './Field';

interface Props {
  bucket: string;
  name: string;
  onClose: () => void;
}

/** One object: what it is, and links to it that others can open. */
export function ObjectDialog({ bucket, name, onClose }: Props) {
  const [facts, setFacts] = useState<ObjectFacts | null>(null);
  const [error, setError] = useState('');
  useEffect(() => {
    factsOf(bucket, name).then(setFacts, (refused: unknown) => setError(inWords(refused).what));
  }, [bucket, name]);
  return (
    <Dialog title={name.split('/').pop() ?? name} onClose={onClose}>
      {error ? (
        <Text role="alert" style={text.soft}>
          {error}
        </Text>
      ) : null}
      <Facts>
        <Fact name="Path">{`s3://${bucket}/${name}`}</Fact>
        <Fact name="Size">{facts ? bytes(facts.size) : '–'}</Fact>
        <Fact name="Type">{facts?.type || '–'}</Fact>
        <Fact name="Changed">{facts ? <Age of={Date.parse(facts.modified)} suffix=" ago" /> : '–'}</Fact>
      </Facts>
      <Share bucket={bucket} name={name} />
      <Text style={text.faint}>Only the newest version of an object is kept.</Text>
    </Dialog>
  );
}

const SPANS = [
  { value: '3600', name: '1 hour' },
  { value: '86400', name: '1 day' },
  { value: '604800', name: '1 week' },
] as const;

function Share({ bucket, name }: { bucket: string; name: string }) {
  const [seconds, setSeconds] = useState<(typeof SPANS)[number]['value']>('3600');
  const [link, setLink] = useState('');
  const make = () =>
    linkTo(bucket, name, Number(seconds)).then(setLink, (error: unknown) =>
      say('bad', `No link: ${inWords(error).what}`, inWords(error).next),
    );
  return (
    <View style={layout.stack}>
      <Text style={text.label}>Link that works for</Text>
      <View style={layout.wrap}>
        <Choice
          label="Link that works for"
          options={SPANS}
          chosen={seconds}
          onChoose={(value) => {
            setSeconds(value);
            setLink('');
          }}
        />
        {!link && <Button label="Make a link" look="primary" icon="link" onPress={() => void make()} id="presign" />}
      </View>
      {link ? (
        <>
          <Snippet name="Link" code={link} />
          <Text style={text.faint}>Whoever has it can read this object until it expires, without logging in.</Text>
        </>
      ) : null}
    </View>
  );
}

export function notDownloaded(error: unknown): void {
  say('bad', `Not downloaded: ${inWords(error).what}`, inWords(error).next);
}
