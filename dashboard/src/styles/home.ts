import { StyleSheet } from 'react-native';

import { color, font, radius, size, space } from './tokens';

export const home = StyleSheet.create({
  verdict: { flexDirection: 'row', alignItems: 'center', gap: space.xl, flexWrap: 'wrap', paddingVertical: space.s },
  verdictLine: { color: color.text, fontFamily: font.display, fontSize: 34, lineHeight: 44, letterSpacing: 1.4 },
  verdictLinePhone: { fontSize: 25, lineHeight: 33 },
  seal: { width: 58, height: 58, alignItems: 'center', justifyContent: 'center' },
  item: {
    flexDirection: 'row',
    alignItems: 'center',
    gap: space.l,
    paddingVertical: 12,
    borderTopWidth: 1,
    borderTopColor: color.lineSoft,
  },
  itemPhone: { flexDirection: 'column', alignItems: 'stretch', gap: space.s },
  fix: { alignSelf: 'center' },
  fixPhone: { alignSelf: 'flex-start', paddingLeft: 30 },
  itemFirst: { borderTopWidth: 0 },
  // A grid, so that those in the last row are as wide as all others.
  strip: { display: 'grid', gridTemplateColumns: 'repeat(auto-fill, minmax(min(100%, 220px), 1fr))', gap: space.m },
  stripPhone: { gridTemplateColumns: 'repeat(auto-fill, minmax(140px, 1fr))' },
  stripWide: { gridTemplateColumns: 'repeat(auto-fill, minmax(min(100%, 300px), 1fr))' },
  tile: {
    padding: space.m,
    gap: 8,
    borderWidth: 1,
    borderColor: color.line,
    borderRadius: radius.m,
    backgroundColor: 'rgba(16, 19, 26, 0.78)',
  },
  tilePhone: { padding: 10 },
  tileHover: { borderColor: color.goldDim, backgroundColor: color.lifted },
  feedRow: {
    flexDirection: 'row',
    gap: space.m,
    paddingVertical: 8,
    borderTopWidth: 1,
    borderTopColor: color.lineSoft,
    alignItems: 'flex-start',
  },
  feedTime: {
    width: 66,
    color: color.faint,
    fontFamily: font.body,
    fontSize: size.small,
    lineHeight: 19,
    fontVariant: ['tabular-nums'],
  },
  feedMark: { width: 14, paddingTop: 3 },
});
