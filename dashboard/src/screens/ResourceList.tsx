import { KindScreen } from '../components/KindScreen';
import { ServiceOff } from '../components/ServiceOff';
import { useKind } from '../hooks/useKind';
import { isSame, MANAGED_SECRETS, type Kind } from '../utils/resources';

/** Any kind, drawn from what the server says of it. */
export function ResourceList({ group, version, plural }: { group: string; version: string; plural: string }) {
  const kind = useKind(group, version, plural);
  if (isSame(kind, MANAGED_SECRETS)) return <Secrets kind={kind} />;
  return (
    <KindScreen
      kind={kind}
      title={plural}
      named
      about={`${kind.kind} · ${group || 'core'}/${version}`}
      next="Create the first one; its schema fills in the form."
    />
  );
}

/** Their values are made by AWS's tools: no form of the dashboard takes one. */
function Secrets({ kind }: { kind: Kind }) {
  return (
    <KindScreen
      kind={kind}
      title="Secrets"
      about="Secrets with versions and rotation. AWS Secrets Manager tools use the same ones."
      next="aws secretsmanager create-secret --name prod/db --secret-string ..."
      above={<ServiceOff speaks="secretsmanager" what="Values cannot be read" />}
    />
  );
}
