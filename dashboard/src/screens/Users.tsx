import { useMemo, useState } from 'react';
import { Text, View } from 'react-native';

import { Button } from '../components/Button';
import type { Column } from '../components/DataTable';
import { Dialog } from '../components/Dialog';
import { Choice, Field } from '../components/Field';
import { Link } from '../components/Link';
import { KindScreen } from '../components/KindScreen';
import { useMay } from '../hooks/useMay';
import { access } from '../styles/access';
import { forms } from '../styles/forms';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { create, remove, setSpec } from '../utils/actions';
import { ask } from '../utils/api';
import { letInOrNot } from '../utils/careful';
import { inWords } from '../utils/errors';
import {
  CLUSTER_ROLE_BINDINGS,
  IAM_GROUPS,
  IAM_POLICIES,
  IAM_ROLES,
  ROLE_BINDINGS,
  SERVICE_ACCOUNTS,
  USERS,
  type Kind,
  type Resource,
} from '../utils/resources';
import { listPage } from '../utils/routes';
import { say } from '../utils/toasts';

const ROLES = [
  { value: 'viewer', name: 'Viewer: looks' },
  { value: 'editor', name: 'Editor: changes' },
  { value: 'admin', name: 'Admin: everything' },
] as const;

/** Who may log in. */
export function Users() {
  const may = useMay(USERS);
  const [making, setMaking] = useState(false);
  const [resetting, setResetting] = useState<string | null>(null);
  const [changing, setChanging] = useState<Resource | null>(null);
  const extra = useMemo(() => (may ? columns(setResetting, setChanging) : undefined), [may]);
  return (
    <>
      <KindScreen
        kind={USERS}
        title="Users"
        about="Who may log in. Users are created by admins; policies of IAM say the rest."
        next="Create the first one."
        onNew={() => setMaking(true)}
        extra={extra}
        above={<Besides />}
      />
      {making && <NewUser onClose={() => setMaking(false)} />}
      {changing && <NewRole user={changing} onClose={() => setChanging(null)} />}
      {resetting && <NewPassword name={resetting} onClose={() => setResetting(null)} />}
    </>
  );
}

const BESIDES: [Kind, string][] = [
  [IAM_GROUPS, 'Groups'],
  [IAM_ROLES, 'Roles of IAM'],
  [IAM_POLICIES, 'Policies'],
  [SERVICE_ACCOUNTS, 'Service accounts'],
  [ROLE_BINDINGS, 'Role bindings'],
  [CLUSTER_ROLE_BINDINGS, 'Cluster role bindings'],
];

/** Everything else that decides what somebody may. */
function Besides() {
  return (
    <View role="navigation" aria-label="Identities" style={access.places}>
      {BESIDES.map(([kind, name]) => (
        <Link key={kind.plural} to={listPage(kind)} style={({ hovered }) => [forms.choice, hovered && forms.chosen]}>
          <Text style={text.small}>{name}</Text>
        </Link>
      ))}
    </View>
  );
}

function columns(onReset: (name: string) => void, onRole: (user: Resource) => void): Column<Resource>[] {
  return [
    {
      name: '',
      width: 318,
      fixed: true,
      end: true,
      cell: (each) => {
        const disabled = each.spec.disabled ?? false;
        return (
          <View style={[layout.wrap, { justifyContent: 'flex-end' }]}>
            <Button label="Role" onPress={() => onRole(each)} />
            <Button label="New password" onPress={() => onReset(each.metadata.name)} />
            <Button label={disabled ? 'Enable' : 'Disable'} onPress={() => letInOrNot(each, !disabled)} />
          </View>
        );
      },
    },
  ];
}

function NewUser({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [role, setRole] = useState<(typeof ROLES)[number]['value']>('viewer');
  const [error, setError] = useState('');
  const make = async () => {
    if (password.length < 12) {
      setError('The password needs at least 12 characters.');
      return;
    }
    const user: Resource = {
      apiVersion: 'aerekos.cloud/v1',
      kind: 'User',
      metadata: { name },
      spec: { roles: [role] },
    };
    try {
      const made = await create(USERS, user, `${name} may log in`);
      await setPasswordOf(name, password).catch(async (refused: unknown) => {
        // A user nobody can log in as helps no one.
        await remove(USERS, made);
        throw refused;
      });
      onClose();
    } catch (refused) {
      setError(inWords(refused).what);
    }
  };
  return (
    <Dialog title="New user" onClose={onClose}>
      <Field label="Name" value={name} onChange={setName} autoFocus />
      <Field
        label="Password"
        value={password}
        onChange={setPassword}
        secret
        autoComplete="new-password"
        error={error}
        hint="At least 12 characters."
      />
      <View style={layout.stack}>
        <Text style={text.label}>Role</Text>
        <Choice label="Role" options={ROLES} chosen={role} onChoose={setRole} />
      </View>
      <Button label="Create" look="primary" disabled={!name} onPress={() => void make()} />
    </Dialog>
  );
}

function NewRole({ user, onClose }: { user: Resource; onClose: () => void }) {
  const name = user.metadata.name;
  const before = ROLES.find(({ value }) => (user.spec.roles ?? []).includes(value))?.value ?? 'viewer';
  const [role, setRole] = useState<(typeof ROLES)[number]['value']>(before);
  const set = () => {
    void setSpec(USERS, user, { roles: [role] }, `${name} is ${role} now`);
    onClose();
  };
  return (
    <Dialog title={`Role of ${name}`} onClose={onClose}>
      <Choice label="Role" options={ROLES} chosen={role} onChoose={setRole} />
      <Button label="Save" look="primary" disabled={role === before} onPress={set} />
    </Dialog>
  );
}

function setPasswordOf(username: string, password: string): Promise<null> {
  return ask('/auth/password', { method: 'POST', body: { username, password } });
}

function NewPassword({ name, onClose }: { name: string; onClose: () => void }) {
  const [password, setPassword] = useState('');
  const [error, setError] = useState('');
  const set = async () => {
    try {
      await setPasswordOf(name, password);
      say('well', `${name} has a new password`);
      onClose();
    } catch (refused) {
      setError(inWords(refused).what);
    }
  };
  return (
    <Dialog title={`New password for ${name}`} onClose={onClose}>
      <Field
        label="Password"
        value={password}
        onChange={setPassword}
        secret
        autoComplete="new-password"
        autoFocus
        error={error}
        hint="At least 12 characters."
      />
      <Button label="Save" look="primary" disabled={password.length < 12} onPress={() => void set()} />
    </Dialog>
  );
}
