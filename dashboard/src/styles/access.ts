import { StyleSheet } from 'react-native';

import { color, font, radius, size, space } from './tokens';

export const access = StyleSheet.create({
  /** Fields beside each other as far as they fit. */
  question: { display: 'grid', gridTemplateColumns: 'repeat(auto-fit, minmax(min(100%, 210px), 1fr))', gap: space.l },
  answer: { flexDirection: 'row', gap: space.l, alignItems: 'center' },
  answerWord: { color: color.text, fontFamily: font.display, fontSize: size.hero, lineHeight: 38, letterSpacing: 1.2 },
  sides: {
    display: 'grid',
    gridTemplateColumns: 'repeat(auto-fit, minmax(min(100%, 380px), 1fr))',
    gap: space.l,
    alignItems: 'start',
  },
  document: {
    borderWidth: 1,
    borderColor: color.line,
    borderRadius: radius.s,
    backgroundColor: 'rgba(5, 6, 9, 0.8)',
    overflow: 'hidden',
  },
  statement: {
    paddingHorizontal: space.m,
    paddingVertical: 10,
    gap: 6,
    borderTopWidth: 1,
    borderTopColor: color.lineSoft,
    borderLeftWidth: 2,
    borderLeftColor: 'transparent',
  },
  first: { borderTopWidth: 0 },
  deciding: { borderLeftColor: color.gold, backgroundColor: color.goldWash },
  written: {
    color: color.soft,
    fontFamily: font.mono,
    fontSize: 12,
    lineHeight: 18,
    // An ARN has three colons, not one sign made of them.
    fontVariant: ['no-common-ligatures', 'no-contextual'],
    whiteSpace: 'pre-wrap',
    overflowWrap: 'anywhere',
  },
  writtenDeciding: { color: color.text },
  places: { flexDirection: 'row', flexWrap: 'wrap', gap: space.s },
  short: { maxHeight: 460, overflowY: 'auto', display: 'block' },
});
