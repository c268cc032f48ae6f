import { Text, View } from 'react-native';

import { detail } from '../styles/detail';
import { Link } from './Link';

/** The sections of one thing; each has its own address. */
export function TabBar({ tabs, here }: { tabs: readonly { id: string; name: string; to: string }[]; here: string }) {
  return (
    <View role="navigation" aria-label="Sections" style={detail.tabs}>
      {tabs.map((tab) => (
        <Link key={tab.id} to={tab.to} here={tab.id === here} style={[detail.tab, tab.id === here && detail.tabHere]}>
          <Text style={[detail.tabText, tab.id === here && detail.tabTextHere]}>{tab.name}</Text>
        </Link>
      ))}
    </View>
  );
}
