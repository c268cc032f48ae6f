import { StyleSheet } from 'react-native';

import { color, font, radius, space } from './tokens';

export const login = StyleSheet.create({
  page: {
    flex: 1,
    alignItems: 'center',
    justifyContent: 'center',
    padding: space.xl,
    minHeight: '100%',
    width: '100%',
  },
  card: {
    width: '100%',
    maxWidth: 400,
    gap: space.xl,
    padding: space.xxl,
    borderWidth: 1,
    borderColor: color.line,
    borderRadius: radius.m,
    backgroundColor: 'rgba(10, 12, 17, 0.84)',
  },
  brand: { alignItems: 'center', gap: space.l },
  name: {
    color: color.text,
    fontFamily: font.display,
    fontSize: 27,
    letterSpacing: 11,
    paddingLeft: 11,
    textTransform: 'uppercase',
  },
  line: { height: 1, width: 120, backgroundColor: color.goldDim, alignSelf: 'center' },
  loading: {
    alignItems: 'center',
    justifyContent: 'center',
    gap: space.xl,
    padding: space.huge,
    flex: 1,
    minHeight: 260,
    width: '100%',
  },
});
