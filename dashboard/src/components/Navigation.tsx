import { Pressable, Text, View } from 'react-native';

import { shell } from '../styles/shell';
import { text } from '../styles/text';
import { color } from '../styles/tokens';
import { layout } from '../styles/layout';
import type { Health } from '../utils/health';
import { Icon, type IconName } from './Icon';
import { Link } from './Link';
import { Mark } from './Mark';

export interface Place {
  to: string;
  name: string;
  icon: IconName;
  badge?: { count: number; health: Health };
}

export interface PlaceGroup {
  name: string;
  places: readonly Place[];
}

/** Whether `path` is this place, or a page inside it. */
export function isHere(path: string, to: string): boolean {
  if (to === '/ui') return path === '/' || path === '/ui' || path === '/ui/';
  return path === to || path.startsWith(`${to}/`) || (to === '/ui/kinds' && path.startsWith('/ui/k/'));
}

/** The rail at the left; narrow on tablets. */
export function Rail({ groups, path, narrow }: { groups: readonly PlaceGroup[]; path: string; narrow: boolean }) {
  return (
    <View role="navigation" aria-label="Main" style={[shell.rail, narrow && shell.railNarrow]}>
      <Link to="/ui" label="aerekos, home" style={[shell.brand, narrow && { paddingHorizontal: 0 }]}>
        <Mark size={28} />
        {!narrow && <Text style={shell.brandName}>aerekos</Text>}
      </Link>
      <View style={layout.stack}>
        {groups.map((group) => (
          <View key={group.name} style={shell.group}>
            {!narrow && <Text style={[text.label, shell.groupName, { color: color.faint }]}>{group.name}</Text>}
            {group.places.map((place) => (
              <RailItem key={place.to} place={place} here={isHere(path, place.to)} narrow={narrow} />
            ))}
          </View>
        ))}
      </View>
    </View>
  );
}

function RailItem({ place, here, narrow }: { place: Place; here: boolean; narrow: boolean }) {
  return (
    <Link
      to={place.to}
      here={here}
      label={narrow ? place.name : undefined}
      style={({ hovered }) => [
        shell.item,
        narrow && shell.itemNarrow,
        hovered && shell.itemHover,
        here && shell.itemHere,
      ]}
    >
      <Icon name={place.icon} tint={here ? color.goldBright : color.soft} />
      {!narrow && <Text style={[shell.itemText, here && shell.itemTextHere, { flex: 1 }]}>{place.name}</Text>}
      {place.badge && (
        <View style={narrow && shell.badgeNarrow}>
          <Badge {...place.badge} />
        </View>
      )}
    </Link>
  );
}

function Badge({ count, health }: { count: number; health: Health }) {
  return (
    <View style={[shell.badge, { borderColor: color[health] }]}>
      <Text style={[text.small, { color: color[health], fontSize: 11, lineHeight: 14 }]}>{count}</Text>
    </View>
  );
}

/** The five tabs at the bottom of a phone. */
export function Tabs({ places, path, onMore }: { places: readonly Place[]; path: string; onMore: () => void }) {
  return (
    <View role="navigation" aria-label="Main" style={shell.tabs}>
      {places.map((place) => (
        <Link
          key={place.to}
          to={place.to}
          here={isHere(path, place.to)}
          style={[shell.tab, isHere(path, place.to) && shell.tabHere]}
        >
          <View>
            <Icon name={place.icon} size={19} tint={isHere(path, place.to) ? color.goldBright : color.soft} />
            {place.badge && (
              <View style={shell.tabBadge}>
                <Badge {...place.badge} />
              </View>
            )}
          </View>
          <Text style={[shell.tabText, isHere(path, place.to) && { color: color.goldBright }]}>{place.name}</Text>
        </Link>
      ))}
      <Pressable role="button" style={shell.tab} onPress={onMore}>
        <Icon name="more" size={19} />
        <Text style={shell.tabText}>More</Text>
      </Pressable>
    </View>
  );
}
