import { StyleSheet } from 'react-native';

import { color, font, radius, size, space } from './tokens';

export const detail = StyleSheet.create({
  tabs: { flexDirection: 'row', gap: space.xl, borderBottomWidth: 1, borderBottomColor: color.line, flexWrap: 'wrap' },
  tab: { minHeight: 42, justifyContent: 'center', borderBottomWidth: 2, borderBottomColor: 'transparent', marginBottom: -1 },
  tabHere: { borderBottomColor: color.gold },
  tabText: { color: color.soft, fontFamily: font.body, fontSize: size.body },
  tabTextHere: { color: color.goldBright },
  facts: { flexDirection: 'row', flexWrap: 'wrap', gap: space.xl, rowGap: space.l },
  fact: { minWidth: 130, maxWidth: 420, gap: 3 },
  condition: { flexDirection: 'row', gap: space.m, paddingVertical: 11, borderTopWidth: 1, borderTopColor: color.lineSoft, alignItems: 'flex-start' },
  log: { backgroundColor: 'rgba(4, 5, 8, 0.9)', borderWidth: 1, borderColor: color.line, borderRadius: radius.s, height: 520, paddingVertical: space.s },
  logPhone: { height: 420 },
  logLine: { flexDirection: 'row', gap: 12, paddingHorizontal: space.m, paddingVertical: 1.5 },
  logTime: { color: color.faint, fontFamily: font.mono, fontSize: 12, lineHeight: 18, flexShrink: 0 },
  logText: { color: color.text, fontFamily: font.mono, fontSize: 12, lineHeight: 18, flex: 1, overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' },
  found: { backgroundColor: 'rgba(217, 182, 92, 0.34)', color: color.text },
  diffLine: { flexDirection: 'row', paddingHorizontal: space.m },
  diffText: { fontFamily: font.mono, fontSize: 12.5, lineHeight: 19, color: color.soft, whiteSpace: 'pre-wrap', overflowWrap: 'anywhere', flex: 1 },
  diffPlus: { backgroundColor: 'rgba(86, 201, 174, 0.12)' },
  diffMinus: { backgroundColor: 'rgba(255, 111, 125, 0.12)' },
  stepper: { flexDirection: 'row', alignItems: 'center', gap: 2 },
  drop: { borderWidth: 1, borderStyle: 'dashed', borderColor: color.lineStrong, borderRadius: radius.m, padding: space.l, alignItems: 'center', gap: 6 },
});
