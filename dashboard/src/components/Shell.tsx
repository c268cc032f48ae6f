import { useCallback, useMemo, useState, type ReactNode } from 'react';
import { Pressable, ScrollView, Text, View } from 'react-native';

import { useKeyboard } from '../hooks/useKeyboard';
import { useLayout } from '../hooks/useLayout';
import { useObservable } from '../hooks/useObservable';
import { useMay } from '../hooks/useMay';
import { useReport } from '../hooks/useReport';
import { useWho } from '../hooks/useSession';
import { useWish } from '../hooks/useWish';
import { layout as common } from '../styles/layout';
import { shell } from '../styles/shell';
import { text } from '../styles/text';
import { badgeOf } from '../utils/attention';
import { cloudName } from '../utils/cloudName';
import { leaveThen } from '../utils/leaving';
import { path as pathNow } from '../utils/routes';
import { AUDIT_LOG } from '../utils/resources';
import { logOut, roleOf } from '../utils/session';
import { Button } from './Button';
import { ConnectionBanner, ConnectionMark } from './ConnectionMark';
import { Help } from './Help';
import { Icon } from './Icon';
import { Link } from './Link';
import { Mark } from './Mark';
import { Rail, Tabs, type Place, type PlaceGroup } from './Navigation';
import { Notices } from './Notices';
import { Palette } from './Palette';
import { QuestionDialog } from './QuestionDialog';

/** The frame around every screen: where one is, where one can go, how true it is. */
export function Shell({ children }: { children: ReactNode }) {
  const { layout, phone } = useLayout();
  const path = useObservable(pathNow);
  const [open, setOpen] = useState<'palette' | 'help' | null>(null);
  useKeyboard(useCallback((what) => setOpen(what), []));
  const { groups, tabs } = usePlaces();
  const close = () => setOpen(null);
  useWish('help', () => setOpen('help'));
  return (
    <View style={[shell.app, phone && shell.appPhone]}>
      {!phone && <Rail groups={groups} path={path} narrow={layout === 'tablet'} />}
      <View style={shell.column}>
        <Top phone={phone} onPalette={() => setOpen('palette')} />
        <ConnectionBanner />
        <ScrollView style={shell.scroll}>
          <View key={path} role="main" style={[common.page, phone && common.pagePhone, common.arrive]}>
            {children}
          </View>
        </ScrollView>
        <Notices />
      </View>
      {phone && <Tabs places={tabs} path={path} onMore={() => setOpen('palette')} />}
      <QuestionDialog />
      {open === 'palette' && <Palette onClose={close} />}
      {open === 'help' && <Help onClose={close} />}
    </View>
  );
}

function Top({ phone, onPalette }: { phone: boolean; onPalette: () => void }) {
  const who = useWho();
  const cloud = useObservable(cloudName);
  return (
    <View role="banner" style={[shell.top, phone && shell.topPhone]}>
      {phone ? (
        <Link to="/ui" label="aerekos, home" style={common.row}>
          <Mark size={24} />
          <Text style={[shell.brandName, { fontSize: 14, letterSpacing: 4 }]}>aerekos</Text>
        </Link>
      ) : (
        <Pressable role="button" style={shell.paletteButton} onPress={onPalette}>
          <Icon name="search" size={14} />
          <Text style={[text.faint, { flex: 1 }]}>Search or run a command</Text>
          <View style={shell.keycap}>
            <Text style={[text.faint, { fontSize: 11 }]}>Ctrl K</Text>
          </View>
        </Pressable>
      )}
      <View style={[common.rowWide, common.fit]}>
        <Text style={[text.strong, common.shrink]} numberOfLines={1} testID="cloud-name">
          {cloud}
        </Text>
        <ConnectionMark />
        {!phone && who && (
          <Text style={text.small}>
            {who.name} <Text style={text.quiet}>· {roleOf(who)}</Text>
          </Text>
        )}
        <Button
          label="Sign out"
          icon="out"
          small
          look="bare"
          onPress={() => leaveThen(() => void logOut(), 'tab')}
          id="sign-out"
        />
      </View>
    </View>
  );
}

function usePlaces(): { groups: PlaceGroup[]; tabs: Place[] } {
  const seen = useReport();
  const mayAudit = useMay(AUDIT_LOG, 'list');
  return useMemo(() => {
    const found = badgeOf(seen);
    const badge = found ? { badge: found } : {};
    const home: Place = { to: '/ui', name: 'Home', icon: 'home', ...badge };
    const run: Place[] = [
      { to: '/ui/services', name: 'Services', icon: 'services' },
      { to: '/ui/workers', name: 'Workers', icon: 'workers' },
    ];
    const data: Place[] = [
      { to: '/ui/keys', name: 'Keys', icon: 'keys' },
      { to: '/ui/buckets', name: 'Buckets', icon: 'buckets' },
      { to: '/ui/databases', name: 'Databases', icon: 'databases' },
    ];
    const messages: Place[] = [
      { to: '/ui/queues', name: 'Queues', icon: 'queues' },
      { to: '/ui/topics', name: 'Topics', icon: 'topics' },
      { to: '/ui/schedules', name: 'Schedules', icon: 'schedules' },
      { to: '/ui/webhookendpoints', name: 'Webhooks', icon: 'webhooks' },
    ];
    const insight: Place[] = [
      { to: '/ui/metrics', name: 'Metrics', icon: 'metrics' },
      { to: '/ui/alerts', name: 'Alerts', icon: 'alerts' },
      { to: '/ui/kinds', name: 'All kinds', icon: 'kinds' },
      { to: '/ui/api', name: 'API explorer', icon: 'api' },
      ...(mayAudit ? [{ to: '/ui/audit', name: 'Audit log', icon: 'audit' } as const] : []),
    ];
    const people: Place[] = [
      { to: '/ui/users', name: 'Users', icon: 'users' },
      { to: '/ui/access', name: 'Access', icon: 'access' },
      { to: '/ui/settings', name: 'Settings', icon: 'settings' },
    ];
    const groups = [
      { name: 'Overview', places: [home] },
      { name: 'Run', places: run },
      { name: 'Data', places: data },
      { name: 'Messages', places: messages },
      { name: 'Insight', places: insight },
      { name: 'People', places: people },
    ];
    return { groups, tabs: [home, ...run, data[1]!] };
  }, [seen, mayAudit]);
}
