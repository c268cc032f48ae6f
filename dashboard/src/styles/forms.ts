import { StyleSheet } from 'react-native';

import { color, font, radius, size, space } from './tokens';

export const forms = StyleSheet.create({
  field: { gap: 6 },
  input: {
    minHeight: 40,
    paddingHorizontal: 12,
    borderWidth: 1,
    borderColor: color.lineStrong,
    borderRadius: radius.s,
    backgroundColor: 'rgba(5, 6, 9, 0.72)',
    color: color.text,
    fontFamily: font.body,
    fontSize: size.body,
  },
  inputPhone: { minHeight: 46, fontSize: 16 },
  wrong: { borderColor: color.bad },
  error: { color: color.bad, fontFamily: font.body, fontSize: size.small, lineHeight: 18 },
  search: { minHeight: 34, width: 240, paddingHorizontal: 12, borderWidth: 1, borderColor: color.lineStrong, borderRadius: radius.s, color: color.text, fontFamily: font.body, fontSize: size.small, backgroundColor: 'rgba(5, 6, 9, 0.6)' },
  searchPhone: { width: '100%', minHeight: 44, fontSize: 16 },
  choices: { flexDirection: 'row', flexWrap: 'wrap', gap: space.xs },
  choice: { minHeight: 32, paddingHorizontal: 12, justifyContent: 'center', borderWidth: 1, borderColor: color.line, borderRadius: radius.s, cursor: 'pointer' },
  chosen: { borderColor: color.gold, backgroundColor: color.goldWash },
  chosenText: { color: color.goldBright },
  code: {
    padding: space.m,
    borderWidth: 1,
    borderColor: color.line,
    borderRadius: radius.s,
    backgroundColor: 'rgba(5, 6, 9, 0.8)',
  },
  editor: {
    flex: 1,
    minHeight: 380,
    padding: space.m,
    color: color.text,
    fontFamily: font.mono,
    fontSize: 12.5,
    lineHeight: 19,
    whiteSpace: 'pre',
    overflowX: 'auto',
  },
  editorFrame: { flexDirection: 'row', borderWidth: 1, borderColor: color.line, borderRadius: radius.s, backgroundColor: 'rgba(5, 6, 9, 0.8)', overflow: 'hidden' },
  gutter: { paddingVertical: space.m, paddingHorizontal: 10, backgroundColor: 'rgba(16, 19, 26, 0.9)', alignItems: 'flex-end' },
  gutterText: { color: color.faint, fontFamily: font.mono, fontSize: 12.5, lineHeight: 19 },
  gutterWrong: { color: color.bad },
});
