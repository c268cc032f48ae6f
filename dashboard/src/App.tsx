import { lazy, Suspense, useEffect, type ReactNode } from 'react';
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
import { readKinds } from './utils/discovery';
import { forgetMirrors } from './utils/mirror';
import { forgetPermissions } from './utils/permissions';
import { go, path, read, type Route } from './utils/routes';
import { restore, session } from './utils/session';

const Workers = lazy(() => import('./screens/Workers').then((module) => ({ default: module.Workers })));
const Buckets = lazy(() => import('./screens/Buckets').then((module) => ({ default: module.Buckets })));
const Keys = lazy(() => import('./screens/Keys').then((module) => ({ default: module.Keys })));
const Kinds = lazy(() => import('./screens/Kinds').then((module) => ({ default: module.Kinds })));
const ResourceList = lazy(() => import('./screens/ResourceList').then((module) => ({ default: module.ResourceList })));
const ResourceDetail = lazy(() =>
  import('./screens/ResourceDetail').then((module) => ({ default: module.ResourceDetail })),
);
const Users = lazy(() => import('./screens/Users').then((module) => ({ default: module.Users })));
const Audit = lazy(() => import('./screens/Audit').then((module) => ({ default: module.Audit })));
const Explorer = lazy(() => import('./screens/Explorer').then((module) => ({ default: module.Explorer })));
const Settings = lazy(() => import('./screens/Settings').then((module) => ({ default: module.Settings })));

/** Who is there? Then the screen the path names. */
export function App() {
  const now = useObservable(session);
  const where = useObservable(path);
  useEffect(() => {
    const leaving = new AbortController();
    void restore(leaving.signal);
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
  useEffect(() => {
    document.title = `${titleOf(route)} · aerekos`;
  }, [route]);
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
    case 'kinds':
      return <Kinds />;
    case 'users':
      return <Users />;
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
  return route.screen[0]!.toUpperCase() + route.screen.slice(1);
}
