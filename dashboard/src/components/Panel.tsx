import type { ReactNode } from 'react';
import { Text, View } from 'react-native';

import { panel } from '../styles/panel';
import { text } from '../styles/text';
import { layout } from '../styles/layout';

interface Props {
  title?: string;
  /** The title is a name: shown as it is written. */
  named?: boolean;
  note?: string;
  right?: ReactNode;
  flush?: boolean;
  children: ReactNode;
}

/** A titled surface with a thin gold corner. `flush` lets its content reach the edges. */
export function Panel({ title, named = false, note, right, flush = false, children }: Props) {
  return (
    <View style={panel.panel} role={title ? 'region' : undefined} aria-label={title}>
      <View style={panel.thread} />
      <View style={panel.threadDown} />
      {title && (
        <View style={panel.head}>
          <View style={[layout.row, layout.shrink, { flexWrap: 'wrap', rowGap: 0 }]}>
            <Text role="heading" aria-level={2} style={named ? text.namedLabel : text.label}>
              {title}
            </Text>
            {note && <Text style={text.faint}>{note}</Text>}
          </View>
          {right}
        </View>
      )}
      <View style={[!flush && panel.body, !title && !flush && { paddingTop: 16 }]}>{children}</View>
    </View>
  );
}
