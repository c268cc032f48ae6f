import { StyleSheet } from 'react-native';

import { space, width } from './tokens';

export const layout = StyleSheet.create({
  row: { flexDirection: 'row', alignItems: 'center', gap: space.s },
  rowWide: { flexDirection: 'row', alignItems: 'center', gap: space.l },
  wrap: { flexDirection: 'row', flexWrap: 'wrap', alignItems: 'center', gap: space.s },
  between: { flexDirection: 'row', alignItems: 'center', justifyContent: 'space-between', gap: space.m },
  stack: { gap: space.s },
  stackWide: { gap: space.l },
  tight: { gap: 2 },
  close: { gap: space.xs },
  middle: { alignItems: 'center', gap: 6 },
  centre: { flex: 1, justifyContent: 'center' },
  whole: { width: '100%' },
  /** A sign that stands beside the first of several lines. */
  besideText: { paddingTop: 3 },
  link: { alignSelf: 'flex-start', maxWidth: '100%' },
  empty: { alignItems: 'center', gap: 10, paddingVertical: 40, paddingHorizontal: 20 },
  dialog: { padding: space.xl, gap: 20 },
  dialogContent: { gap: 20 },
  fit: { flexShrink: 1, maxWidth: '100%' },
  grow: { flex: 1, minWidth: 0 },
  shrink: { flexShrink: 1, minWidth: 0 },
  page: {
    width: '100%',
    maxWidth: width.content,
    alignSelf: 'center',
    gap: space.xl,
    padding: space.xxl,
    paddingTop: space.xl,
  },
  pagePhone: { padding: space.l, paddingBottom: 110, gap: space.l },
  columns: { flexDirection: 'row', gap: space.xl, alignItems: 'flex-start' },
  columnsPhone: { gap: space.l },
  main: { flex: 1.65, minWidth: 0, gap: space.xl },
  side: { flex: 1, minWidth: 0, gap: space.xl },
  arrive: {
    animationKeyframes: [
      { '0%': { opacity: 0, transform: 'translateY(5px)' }, '100%': { opacity: 1, transform: 'none' } },
    ],
    animationDuration: '380ms',
    animationTimingFunction: 'cubic-bezier(0.2, 0.7, 0.2, 1)',
  },
});
