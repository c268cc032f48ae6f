import { useEffect, useState } from 'react';

import { mirrorsInUse } from '../utils/mirror';

export type Connection = { state: 'live' | 'loading' | 'reconnecting' | 'offline'; heardAt: number };

function look(): Connection {
  const views = mirrorsInUse()
    .map((mirror) => mirror.view.get())
    .filter((view) => view.state !== 'refused');
  const heard = views.filter((view) => view.heardAt).map((view) => view.heardAt);
  const lost = views.filter((view) => view.state === 'reconnecting');
  if (lost.length) {
    const heardAt = Math.min(...lost.map((view) => view.heardAt));
    return { state: navigator.onLine ? 'reconnecting' : 'offline', heardAt };
  }
  const live = views.some((view) => view.state === 'live');
  return { state: live ? 'live' : 'loading', heardAt: heard.length ? Math.max(...heard) : 0 };
}

/** How true the page is: looks at its own mirrors, asks nobody. */
export function useConnection(): Connection {
  const [connection, setConnection] = useState(look);
  useEffect(() => {
    const timer = setInterval(() => {
      setConnection((before) => {
        const now = look();
        const same = before.state === now.state && (now.state === 'live' || before.heardAt === now.heardAt);
        return same ? before : now;
      });
    }, 400);
    return () => clearInterval(timer);
  }, []);
  return connection;
}
