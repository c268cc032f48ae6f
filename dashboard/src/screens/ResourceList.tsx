import { KindScreen } from '../components/KindScreen';
import { useKind } from '../hooks/useKind';

/** Any kind, drawn from what the server says of it. */
export function ResourceList({ group, version, plural }: { group: string; version: string; plural: string }) {
  const kind = useKind(group, version, plural);
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
