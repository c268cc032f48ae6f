import { Suspense, useEffect, type ReactNode } from 'react';
import { View } from 'react-native';

import { Boundary } from './components/Boundary';
import { Button } from './components/Button';
import { Empty } from './components/Empty';
import { Loading } from './components/Loading';
import { Shell } from './components/Shell';
import { useObservable } from './hooks/useObservable';
import { Home } from './screens/Home';
import { Login } from './screens/Login';
import { Services } from './screens/Services';
import { layout } from './styles/layout';
import { readCatalog } from './utils/catalog';
import { cloudName, readCloudName } from './utils/cloudName';
import { readKinds } from './utils/discovery';
import { lazily } from './utils/lazily';
import { forgetMirrors } from './utils/mirror';
import { forgetPermissions } from './utils/permissions';
import { go, path, read, type Route } from './utils/routes';
import { restore, session } from './utils/session';

const Workers = lazily(() => import('./screens/Workers'), 'Workers');
const Buckets = lazily(() => import('./screens/Buckets'), 'Buckets');
const Databases = lazily(() => import('./screens/Databases'), 'Databases');
const Queues = lazily(() => import('./screens/Queues'), 'Queues');
const Topics = lazily(() => import('./screens/Topics'), 'Topics');
const Schedules = lazily(() => import('./screens/Schedules'), 'Schedules');
const Webhooks = lazily(() => import('./screens/Webhooks'), 'Webhooks');
const Metrics = lazily(() => import('./screens/Metrics'), 'Metrics');
const Alerts = lazily(() => import('./screens/Alerts'), 'Alerts');
const Keys = lazily(() => import('./screens/Keys'), 'Keys');
const Kinds = lazily(() => import('./screens/Kinds'), 'Kinds');
const ResourceList = lazily(() => import('./screens/ResourceList'), 'ResourceList');
const ResourceDetail = lazily(() => import('./screens/ResourceDetail'), 'ResourceDetail');
const Users = lazily(() => import('./screens/Users'), 'Users');
const Access = lazily(() => import('./screens/Access'), 'Access');
const Audit = lazily(() => import('./screens/Audit'), 'Audit');
const Explorer = lazily(() => import('./screens/Explorer'), 'Explorer');
const Settings = lazily(() => import('./screens/Settings'), 'Settings');

/** Who is there? Then the screen the path names. */
export function App() {
  const now = useObservable(session);
  const where = useObservable(path);
  useEffect(() => {
    const leaving = new AbortController();
    void restore(leaving.signal);
    void readCloudName();
    return () => leaving.abort();
  }, []);
  useEffect(() => {
    if (now.state === 'in') {
      void readCatalog();
      void readKinds().catch(() => undefined);
    } else {
      forgetMirrors();
      forgetPermissions();
    }
  }, [now.state]);
  if (now.state === 'asking') {
    return (
      <View style={layout.centre}>
        <Loading what={now.trouble ?? 'your session'} />
      </View>
    );
  }
  if (now.state === 'out') return <Login because={now.because} />;
  return (
    <Shell>
      <Boundary key={where}>
        <Suspense fallback={<Loading what="the screen" />}>
          <Screen />
        </Suspense>
      </Boundary>
    </Shell>
  );
}

function Screen(): ReactNode {
  const route = read(useObservable(path));
  const cloud = useObservable(cloudName);
  useEffect(() => {
    document.title = `${titleOf(route)} · ${cloud} · aerekos`;
  }, [route, cloud]);
  switch (route.screen) {
    case 'home':
      return <Home />;
    case 'services':
      return <Services />;
    case 'workers':
      return <Workers />;
    case 'keys':
      return <Keys />;
    case 'buckets':
      return <Buckets />;
    case 'databases':
      return <Databases />;
    case 'queues':
      return <Queues />;
    case 'topics':
      return <Topics />;
    case 'schedules':
      return <Schedules />;
    case 'webhookendpoints':
      return <Webhooks />;
    case 'metrics':
      return <Metrics />;
    case 'alerts':
      return <Alerts />;
    case 'kinds':
      return <Kinds />;
    case 'users':
      return <Users />;
    case 'access':
      return <Access />;
    case 'audit':
      return <Audit />;
    case 'api':
      return <Explorer />;
    case 'settings':
      return <Settings />;
    case 'list':
      return <ResourceList key={route.plural} {...route} />;
    case 'detail':
      return <ResourceDetail key={`${route.plural}/${route.namespace}/${route.name}`} {...route} />;
    case 'nowhere':
      return (
        <Empty title="There is no such page" next={`${route.path} leads nowhere.`}>
          <Button label="Go home" look="primary" onPress={() => go('/ui')} />
        </Empty>
      );
  }
}

function titleOf(route: Route): string {
  if (route.screen === 'detail') return route.name;
  if (route.screen === 'list') return route.plural;
  if (route.screen === 'api') return 'API explorer';
  if (route.screen === 'webhookendpoints') return 'Webhooks';
  return route.screen[0]!.toUpperCase() + route.screen.slice(1);
}
