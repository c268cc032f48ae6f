import { StyleSheet } from 'react-native';

import { color, radius, space } from './tokens';

export const panel = StyleSheet.create({
  panel: {
    backgroundColor: 'rgba(16, 19, 26, 0.82)',
    borderWidth: 1,
    borderColor: color.line,
    borderRadius: radius.m,
    minWidth: 0,
  },
  /** The thin gold thread at the upper left corner. */
  thread: { position: 'absolute', top: -1, left: -1, width: 46, height: 1, backgroundColor: color.gold },
  threadDown: { position: 'absolute', top: -1, left: -1, width: 1, height: 16, backgroundColor: color.gold },
  head: {
    flexDirection: 'row',
    alignItems: 'center',
    justifyContent: 'space-between',
    flexWrap: 'wrap',
    gap: space.s,
    paddingHorizontal: space.l,
    paddingTop: space.m,
    paddingBottom: space.s,
    minHeight: 44,
  },
  body: { paddingHorizontal: space.l, paddingBottom: space.l },
  flush: { paddingBottom: 0 },
  divider: { height: 1, backgroundColor: color.lineSoft },
});
