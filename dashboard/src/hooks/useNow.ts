import { useEffect, useState } from 'react';

/** The time in ms since 1970, moving on once every `period` ms: for ages on screen. */
export function useNow(period = 1000): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), period);
    return () => clearInterval(timer);
  }, [period]);
  return now;
}
