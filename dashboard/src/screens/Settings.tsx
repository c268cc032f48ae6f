import { useEffect, useState } from 'react';
import { Text, View } from 'react-native';

import { Button } from '../components/Button';
import { CopyAs, Snippet } from '../components/CopyAs';
import { Fact, Facts } from '../components/Facts';
import { Field } from '../components/Field';
import { LoopPanel } from '../components/LoopPanel';
import { Panel } from '../components/Panel';
import { ScreenHead } from '../components/ScreenHead';
import { useConnection } from '../hooks/useConnection';
import { useObservable } from '../hooks/useObservable';
import { useWho } from '../hooks/useSession';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { ask } from '../utils/api';
import { downloadCa } from '../utils/authority';
import { cloudName } from '../utils/cloudName';
import { curl } from '../utils/copyas';
import { inWords } from '../utils/errors';
import { leaveThen } from '../utils/leaving';
import { logOut, roleOf, type Who } from '../utils/session';
import { say } from '../utils/toasts';

/** Who one is here, and how other tools come in. */
export function Settings() {
  const who = useWho();
  if (!who) return null;
  return (
    <>
      <ScreenHead title="Settings" about="Your account, how other tools connect, and how the cloud keeps up.">
        <CopyAs copies={{ kubectl: 'kubectl auth whoami', curl: curl('/auth/whoami') }} />
      </ScreenHead>
      <You who={who} />
      <Password name={who.name} />
      <Clients name={who.name} />
      <LoopPanel />
    </>
  );
}

function You({ who }: { who: Who }) {
  const { state } = useConnection();
  const cloud = useObservable(cloudName);
  const [version, setVersion] = useState('');
  useEffect(() => {
    ask<{ version: string; gitCommit: string }>('/version').then(
      (found) => setVersion([found.version, found.gitCommit && `(${found.gitCommit})`].filter(Boolean).join(' ')),
      () => undefined,
    );
  }, []);
  return (
    <Panel
      title="You"
      right={<Button label="Sign out" icon="out" onPress={() => leaveThen(() => void logOut(), 'tab')} />}
    >
      <Facts>
        <Fact name="Name">{who.name}</Fact>
        <Fact name="Role">{roleOf(who)}</Fact>
        <Fact name="Namespace">{who.namespace}</Fact>
        <Fact name="Cloud">{cloud}</Fact>
        <Fact name="Address">{window.location.origin}</Fact>
        <Fact name="Version">{version || '–'}</Fact>
        <Fact name="Connection">{state}</Fact>
      </Facts>
    </Panel>
  );
}

function Password({ name }: { name: string }) {
  const [current, setCurrent] = useState('');
  const [password, setPassword] = useState('');
  const [error, setError] = useState('');
  const change = async () => {
    try {
      await ask('/auth/password', { method: 'POST', body: { username: name, password, current } });
      say('well', 'Your password is changed');
      setCurrent('');
      setPassword('');
      setError('');
    } catch (refused) {
      const { what } = inWords(refused);
      setError(what === 'wrong user name or password' ? 'The current password is wrong.' : what);
    }
  };
  return (
    <Panel title="Your password">
      <View style={[layout.stackWide, { maxWidth: 420 }]}>
        <Field label="Current" value={current} onChange={setCurrent} secret autoComplete="current-password" />
        <Field
          label="New"
          value={password}
          onChange={setPassword}
          secret
          autoComplete="new-password"
          hint="At least 12 characters."
          error={error}
        />
        <View style={layout.row}>
          <Button
            label="Change password"
            look="primary"
            disabled={!current || password.length < 12}
            onPress={() => void change()}
          />
        </View>
      </View>
    </Panel>
  );
}

interface AccessKey {
  accessKeyId: string;
  secretAccessKey: string;
  region: string;
}

/** What `aerekos env` prints: without the CA and a region, the tools refuse. */
function awsLines(origin: string, { region, accessKeyId, secretAccessKey }: AccessKey): string {
  return [
    `export AWS_ENDPOINT_URL=${origin} AWS_CA_BUNDLE=$PWD/ca.crt NODE_EXTRA_CA_CERTS=$PWD/ca.crt`,
    `export AWS_REGION=${region} AWS_DEFAULT_REGION=${region}`,
    `export AWS_ACCESS_KEY_ID=${accessKeyId} AWS_SECRET_ACCESS_KEY=${secretAccessKey}`,
  ].join('\n');
}

function Clients({ name }: { name: string }) {
  const [pair, setPair] = useState<AccessKey | null>(null);
  const [fingerprint, setFingerprint] = useState('');
  useEffect(() => {
    ask<{ caFingerprint: string }>('/cloud').then(
      (found) => setFingerprint(found.caFingerprint),
      () => undefined,
    );
  }, []);
  const show = async () => {
    try {
      setPair(await ask<AccessKey>('/auth/access-key'));
    } catch (refused) {
      say('bad', inWords(refused).what, inWords(refused).next);
    }
  };
  const origin = window.location.origin;
  return (
    <Panel title="Clients and endpoints">
      <View style={layout.stackWide}>
        <Snippet
          name="kubectl"
          code="aerekos kubeconfig > aerekos.yaml && kubectl --kubeconfig aerekos.yaml get services.aerekos.cloud"
        />
        <View style={layout.row}>
          <Text style={[text.small, layout.shrink]} selectable>
            SHA-256 fingerprint of the CA: {fingerprint || '–'}
          </Text>
        </View>
        {fingerprint ? (
          <Snippet
            name="aerekos on another machine"
            code={`aerekos login ${origin} --user ${name} --fingerprint ${fingerprint.replaceAll(':', '').toLowerCase()}`}
          />
        ) : null}
        <View style={layout.row}>
          <Button label="Download ca.crt" icon="down" onPress={() => void downloadCa()} />
          <Text style={[text.small, layout.shrink]}>
            Proves this cloud to other tools; the lines below expect it here.
          </Text>
        </View>
        {pair ? (
          <Snippet name="AWS tools" code={awsLines(origin, pair)} />
        ) : (
          <View style={layout.stack}>
            <Text style={text.soft}>
              Your AWS key pair works with the aws CLI and every AWS SDK. It is shown only when you ask.
            </Text>
            <View style={layout.row}>
              <Button label="Show my AWS keys" onPress={() => void show()} />
            </View>
          </View>
        )}
      </View>
    </Panel>
  );
}
