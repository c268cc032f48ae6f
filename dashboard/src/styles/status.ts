import { StyleSheet } from 'react-native';

import { color, font, radius, size } from './tokens';

export const status = StyleSheet.create({
  mark: { flexDirection: 'row', alignItems: 'center', gap: 7, minWidth: 0 },
  word: { fontFamily: font.body, fontSize: size.small, fontWeight: '500', lineHeight: 18 },
  chip: {
    flexDirection: 'row',
    alignItems: 'center',
    gap: 6,
    alignSelf: 'flex-start',
    paddingHorizontal: 9,
    paddingVertical: 3,
    borderRadius: radius.s,
    borderWidth: 1,
  },
  meter: { height: 3, borderRadius: 2, backgroundColor: color.line, overflow: 'hidden', flex: 1, minWidth: 30 },
  meterFill: { height: 3, borderRadius: 2, transitionProperty: 'width', transitionDuration: '600ms' },
  metric: { gap: 4 },
  meterRow: { flexDirection: 'row', alignItems: 'center', gap: 10 },
  meterLabel: { width: 44 },
  meterLabelBrief: { width: 32 },
  meterValueBrief: { minWidth: 38, textAlign: 'right' },
  meterValue: { minWidth: 104, textAlign: 'right' },
});
