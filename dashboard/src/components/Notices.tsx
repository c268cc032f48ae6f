import { Text, View } from 'react-native';

import { useLayout } from '../hooks/useLayout';
import { useObservable } from '../hooks/useObservable';
import { layout } from '../styles/layout';
import { shell } from '../styles/shell';
import { text } from '../styles/text';
import { color } from '../styles/tokens';
import { dismiss, toasts } from '../utils/toasts';
import { Button } from './Button';
import { Sign } from './Sign';

/** What just happened because of somebody here. */
export function Notices() {
  const { phone } = useLayout();
  const shown = useObservable(toasts);
  return (
    <View
      style={[shell.toasts, shown.length > 0 && shell.toastsShown, phone && shown.length > 0 && shell.toastsPhone]}
      role="status"
      aria-live="polite"
      testID="notices"
    >
      {shown.map((toast) => (
        <View key={toast.id} style={[shell.toast, { borderLeftColor: color[toast.health] }, layout.arrive]}>
          <Sign health={toast.health} />
          <Text style={[text.body, layout.grow]}>
            {toast.text}
            {toast.more ? <Text style={text.small}> {toast.more}</Text> : null}
          </Text>
          <Button label="Dismiss" icon="close" small look="bare" onPress={() => dismiss(toast.id)} />
        </View>
      ))}
    </View>
  );
}
