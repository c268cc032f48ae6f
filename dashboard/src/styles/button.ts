import { StyleSheet } from 'react-native';

import { color, duration, font, radius, size, space } from './tokens';

export const button = StyleSheet.create({
  base: {
    flexDirection: 'row',
    alignItems: 'center',
    justifyContent: 'center',
    gap: 7,
    minHeight: 34,
    paddingHorizontal: 14,
    borderRadius: radius.s,
    borderWidth: 1,
    borderColor: color.lineStrong,
    backgroundColor: 'transparent',
    transitionProperty: 'background-color, border-color',
    transitionDuration: duration.quick,
    cursor: 'pointer',
    flexShrink: 0,
  },
  phone: { minHeight: 44 },
  quietHover: { backgroundColor: color.hover, borderColor: color.soft },
  primary: { backgroundColor: color.gold, borderColor: color.gold },
  primaryHover: { backgroundColor: color.goldBright, borderColor: color.goldBright },
  golden: { borderColor: color.goldDim, backgroundColor: color.goldWash },
  goldenHover: { borderColor: color.gold, backgroundColor: 'rgba(217, 182, 92, 0.2)' },
  goldenLabel: { color: color.goldBright },
  danger: { borderColor: color.bad },
  dangerHover: { backgroundColor: 'rgba(255, 111, 125, 0.16)' },
  bare: { borderColor: 'transparent', paddingHorizontal: space.s },
  bareHover: { backgroundColor: color.hover },
  disabled: { opacity: 0.5, cursor: 'default' },
  label: { color: color.text, fontFamily: font.body, fontSize: size.small, fontWeight: '500', letterSpacing: 0.2 },
  primaryLabel: { color: color.inverse, fontWeight: '650' },
  dangerLabel: { color: color.bad },
});
