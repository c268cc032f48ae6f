import { StyleSheet } from 'react-native';

import { color, font, size, track } from './tokens';

export const text = StyleSheet.create({
  body: { color: color.text, fontFamily: font.body, fontSize: size.body, lineHeight: 21 },
  soft: { color: color.soft, fontFamily: font.body, fontSize: size.body, lineHeight: 21 },
  small: { color: color.soft, fontFamily: font.body, fontSize: size.small, lineHeight: 18 },
  faint: { color: color.faint, fontFamily: font.body, fontSize: size.small, lineHeight: 18 },
  quiet: { color: color.faint },
  said: { textAlign: 'center', maxWidth: 520 },
  strong: { color: color.text, fontFamily: font.body, fontSize: size.body, lineHeight: 21, fontWeight: '600' },
  /** Small capitals over things: for words of ours, never for names. */
  label: {
    color: color.soft,
    fontFamily: font.body,
    fontSize: size.tiny,
    lineHeight: 16,
    fontWeight: '500',
    letterSpacing: track.label,
    textTransform: 'uppercase',
  },
  title: {
    color: color.text,
    fontFamily: font.display,
    fontSize: size.title,
    lineHeight: 28,
    letterSpacing: track.title,
    textTransform: 'uppercase',
  },
  /** A title that holds a name: shown as it is written, for names are case-sensitive and typed by people. */
  named: {
    color: color.text,
    fontFamily: font.display,
    fontSize: size.title,
    lineHeight: 28,
    letterSpacing: 0.8,
  },
  namedLabel: { color: color.soft, fontFamily: font.body, fontSize: size.small, lineHeight: 18, fontWeight: '500' },
  hero: { color: color.text, fontFamily: font.display, fontSize: size.hero, lineHeight: 38, letterSpacing: 1.2 },
  mono: { color: color.text, fontFamily: font.mono, fontSize: size.small, lineHeight: 19 },
  /** A number one looks at from afar. */
  figure: { color: color.text, fontFamily: font.display, fontSize: 21, lineHeight: 28, fontVariant: ['tabular-nums'] },
  number: {
    color: color.text,
    fontFamily: font.body,
    fontSize: size.body,
    lineHeight: 21,
    fontVariant: ['tabular-nums'],
  },
});
