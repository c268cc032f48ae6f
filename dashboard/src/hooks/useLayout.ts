import { useWindowDimensions } from 'react-native';

import { width as limit } from '../styles/tokens';

export type Layout = 'phone' | 'tablet' | 'desktop';

/** Wall displays are zoomed by global.css; what counts here is the room that is left. */
function zoom(): number {
  return Number(getComputedStyle(document.documentElement).zoom) || 1;
}

/** How much room there is. */
export function useLayout(): { layout: Layout; phone: boolean; width: number } {
  const width = useWindowDimensions().width / zoom();
  const layout = width < limit.phone ? 'phone' : width < limit.tablet ? 'tablet' : 'desktop';
  return { layout, phone: layout === 'phone', width };
}
