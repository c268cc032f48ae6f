import { Text, View } from 'react-native';

import { useObservable } from '../hooks/useObservable';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { enableManaged } from '../utils/actions';
import { count } from '../utils/attention';
import { enableOrDisable } from '../utils/careful';
import { catalog as catalogSeen, type CatalogEntry } from '../utils/catalog';
import { serviceHealth, serviceWord } from '../utils/health';
import type { Service } from '../utils/resources';
import { Button } from './Button';
import { StatusMark } from './StatusMark';

/** The managed services this cloud could run, and which of them it does. */
export function Catalog({ services, may }: { services: readonly Service[]; may: boolean }) {
  const entries = useObservable(catalogSeen);
  if (entries.length === 0) return null;
  const on = entries.filter((entry) => running(entry, services)).length;
  return (
    <View style={layout.stack}>
      <View style={layout.between}>
        <Text role="heading" aria-level={2} style={text.label}>
          Catalog
        </Text>
        <Text style={text.faint}>{`${on} of ${count(entries.length, 'managed service')} enabled`}</Text>
      </View>
      <View style={[home.strip, home.stripWide]}>
        {entries.map((entry) => (
          <Offer key={entry.managed} entry={entry} services={services} may={may} />
        ))}
      </View>
    </View>
  );
}

function existing(entry: CatalogEntry, services: readonly Service[]): Service | undefined {
  return (
    services.find((each) => each.spec.managed === entry.managed && each.metadata.name === entry.service) ??
    services.find((each) => each.spec.managed === entry.managed)
  );
}

function running(entry: CatalogEntry, services: readonly Service[]): boolean {
  const service = existing(entry, services);
  return service !== undefined && (service.spec.enabled ?? true);
}

function Offer({ entry, services, may }: { entry: CatalogEntry; services: readonly Service[]; may: boolean }) {
  const service = existing(entry, services);
  const on = running(entry, services);
  return (
    <View style={home.tile}>
      <View style={layout.between}>
        <Text style={text.strong}>{entry.title}</Text>
        <StatusMark
          health={service && on ? serviceHealth(service) : 'idle'}
          word={service && on ? serviceWord(service) : 'Disabled'}
        />
      </View>
      <Text style={[text.small, { flex: 1 }]}>{entry.summary}</Text>
      <Text style={text.faint}>
        {entry.speaks.length ? `speaks AWS ${entry.speaks.join(', ')}` : entry.kinds.join(', ')}
        {entry.needs.length ? ` · needs ${entry.needs.join(', ')}` : ''}
      </Text>
      {may && (
        <View style={layout.row}>
          {on && service ? (
            <Button label={`Disable ${entry.title}`} onPress={() => enableOrDisable(service, false)} />
          ) : (
            <Button
              label={`Enable ${entry.title}`}
              look="golden"
              onPress={() => void enableManaged(entry.managed, service)}
            />
          )}
        </View>
      )}
    </View>
  );
}
