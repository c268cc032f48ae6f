import { StyleSheet } from 'react-native';

import { color, space } from './tokens';

export const table = StyleSheet.create({
  head: {
    flexDirection: 'row',
    gap: space.l,
    paddingHorizontal: space.l,
    paddingVertical: 9,
    borderBottomWidth: 1,
    borderBottomColor: color.line,
  },
  row: {
    flexDirection: 'row',
    alignItems: 'center',
    gap: space.l,
    paddingHorizontal: space.l,
    paddingVertical: 10,
    minHeight: 48,
    borderBottomWidth: 1,
    borderBottomColor: color.lineSoft,
    // What is not on the screen is not laid out.
    contentVisibility: 'auto',
    containIntrinsicSize: 'auto 58px',
  },
  rowHover: { backgroundColor: 'rgba(27, 32, 43, 0.55)' },
  /** It went a moment ago; nothing in it can be pressed. */
  gone: { opacity: 0.35, pointerEvents: 'none' },
  cell: { minWidth: 0, justifyContent: 'center' },
  end: { alignItems: 'flex-end' },
  sort: { flexDirection: 'row', alignItems: 'center', gap: 5, cursor: 'pointer' },
  card: { padding: space.l, gap: space.s, borderBottomWidth: 1, borderBottomColor: color.lineSoft },
  cardHead: { flexDirection: 'row', justifyContent: 'space-between', alignItems: 'center', gap: space.m },
  cardLine: { flexDirection: 'row', justifyContent: 'space-between', gap: space.l, alignItems: 'center' },
});
