import { Text, View } from 'react-native';

import { CopyAs } from '../components/CopyAs';
import { Link } from '../components/Link';
import { Loading } from '../components/Loading';
import { ScreenHead } from '../components/ScreenHead';
import { useObservable } from '../hooks/useObservable';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { curl } from '../utils/copyas';
import { kinds as kindsSeen } from '../utils/discovery';
import { listPage } from '../utils/routes';
import { apiVersion, type Kind } from '../utils/resources';

/** Everything this cloud knows, also kinds that a new service brings. */
export function Kinds() {
  const kinds = useObservable(kindsSeen);
  if (kinds.length === 0) return <Loading what="kinds" />;
  // Ours first, then what Kubernetes tools expect.
  const groups = [...new Set(kinds.map(apiVersion))].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  return (
    <>
      <ScreenHead title="All kinds" about="All API resources of this cloud, also those a new service brings.">
        <CopyAs copies={{ kubectl: 'kubectl api-resources', curl: curl('/apis') }} />
      </ScreenHead>
      {groups.map((group) => (
        <View key={group} style={layout.stack}>
          <Text role="heading" aria-level={2} style={text.namedLabel}>
            {group}
          </Text>
          <View style={home.strip}>
            {kinds
              .filter((kind) => apiVersion(kind) === group)
              .map((kind) => (
                <Tile key={kind.plural} kind={kind} />
              ))}
          </View>
        </View>
      ))}
    </>
  );
}

function rank(group: string): number {
  return group.startsWith('aerekos') ? 0 : group === 'v1' ? 1 : 2;
}

function Tile({ kind }: { kind: Kind }) {
  return (
    <Link to={listPage(kind)} style={({ hovered }) => [home.tile, hovered && home.tileHover]}>
      <Text style={text.strong}>{kind.kind}</Text>
      <Text style={text.faint}>
        {kind.plural} · {kind.namespaced ? 'in namespaces' : 'cluster-wide'}
      </Text>
    </Link>
  );
}
