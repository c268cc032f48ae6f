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
    <View style={[shell.toasts, phone && shell.toastsPhone]} role="status" aria-live="polite">
      {shown.map((toast) => (
        <View key={toast.id} style={[shell.toast, { borderLeftColor: color[toast.health] }, layout.arrive]}>
          <View style={layout.besideText}>
            <Sign health={toast.health} />
          </View>
          <View style={layout.grow}>
            <Text style={text.body}>{toast.text}</Text>
            {toast.more ? <Text style={text.small}>{toast.more}</Text> : null}
          </View>
          <Button label="Dismiss" icon="close" small look="bare" onPress={() => dismiss(toast.id)} />
        </View>
      ))}
    </View>
  );
}
