import { StyleSheet } from 'react-native';

import { radius, space } from './tokens';

export const graph = StyleSheet.create({
  whole: { width: '100%', minWidth: 0, gap: space.s },
  /** As wide as half the page, or all of a phone. */
  half: { flexGrow: 1, flexShrink: 1, flexBasis: 420, minWidth: 0, gap: space.s },
  dot: { width: 8, height: 8, borderRadius: radius.round, flexShrink: 0 },
  grid: { flexDirection: 'row', flexWrap: 'wrap', gap: space.xl },
  alert: { gap: space.s, paddingVertical: space.m },
});
