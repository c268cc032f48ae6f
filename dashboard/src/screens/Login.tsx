import { useEffect, useState } from 'react';
import { Text, View } from 'react-native';

import { Button } from '../components/Button';
import { Field } from '../components/Field';
import { Mark } from '../components/Mark';
import { useObservable } from '../hooks/useObservable';
import { login as styles } from '../styles/login';
import { text } from '../styles/text';
import { color } from '../styles/tokens';
import { cloudName } from '../utils/cloudName';
import { ApiError, inWords } from '../utils/errors';
import { logIn, MustChoose } from '../utils/session';

/** Name and password of a seeded user; nobody registers. */
export function Login({ because }: { because?: string }) {
  const cloud = useObservable(cloudName);
  useEffect(() => {
    document.title = `${cloud} · aerekos`;
  }, [cloud]);
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  const [wantsCode, setWantsCode] = useState(false);
  const [choosing, setChoosing] = useState(false);
  const [chosen, setChosen] = useState('');
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const enter = async () => {
    if (busy) return;
    if (!name || !password) {
      setError('Give your name and your password.');
      return;
    }
    if (choosing && !chosen) {
      setError('Choose a password of your own.');
      return;
    }
    setBusy(true);
    setError('');
    try {
      await logIn(name, password, code.trim(), chosen);
    } catch (refused) {
      setBusy(false);
      setCode('');
      if (refused instanceof MustChoose) {
        setChoosing(true);
        return;
      }
      if (refused instanceof ApiError && refused.reason === 'TotpRequired') {
        setWantsCode(true);
        return;
      }
      const { what, next } = inWords(refused);
      setError(what === 'wrong user name or password' ? 'Wrong name or password.' : `${what}. ${next}`);
    }
  };
  return (
    <View role="main" style={styles.page}>
      <View style={styles.card}>
        <View style={styles.brand}>
          <Mark size={64} moving={busy} />
          <Text role="heading" aria-level={1} style={styles.name}>
            aerekos
          </Text>
          <View style={styles.line} />
          <Text style={text.soft} testID="cloud-name">
            {cloud}
          </Text>
        </View>
        {choosing ? (
          <Text role="status" style={[text.soft, { textAlign: 'center' }]}>
            This password was good for one login. Choose one of your own: 12 characters or more.
          </Text>
        ) : null}
        {because && !error && !choosing ? (
          <Text role="status" style={[text.soft, { textAlign: 'center', color: color.warn }]}>
            {because}
          </Text>
        ) : null}
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void enter();
          }}
          className="login-form"
        >
          <Field
            label="Name"
            id="username"
            value={name}
            onChange={setName}
            autoComplete="username"
            autoFocus
            onSubmit={() => void enter()}
          />
          <Field
            label="Password"
            id="password"
            value={password}
            onChange={setPassword}
            secret
            autoComplete="current-password"
            error={choosing ? '' : error}
            onSubmit={() => void enter()}
          />
          {choosing ? (
            <Field
              label="New password"
              id="new-password"
              value={chosen}
              onChange={setChosen}
              secret
              autoComplete="new-password"
              autoFocus
              error={error}
              onSubmit={() => void enter()}
            />
          ) : null}
          {wantsCode ? (
            <Field
              label="Code of your authenticator app, or a recovery code"
              id="code"
              value={code}
              onChange={setCode}
              autoComplete="one-time-code"
              autoFocus
              onSubmit={() => void enter()}
            />
          ) : null}
          <Button
            label={busy ? 'Logging in…' : 'Log in'}
            look="primary"
            onPress={() => void enter()}
            disabled={busy}
            id="enter"
          />
        </form>
        <Text style={[text.faint, { textAlign: 'center' }]}>
          The first start shows the admin’s one-time password. Forgotten: aerekos user passwd admin, on the cloud’s
          machine.
        </Text>
      </View>
    </View>
  );
}
