import { useEffect, useRef, type ReactNode } from 'react';
import { Text, View } from 'react-native';

import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { Button } from './Button';

interface Props {
  title: string;
  onClose: () => void;
  shape?: '' | 'high' | 'wide';
  bare?: boolean;
  children: ReactNode;
}

/** The browser's own modal dialog: focus stays inside, Esc closes, the page behind rests. */
export function Dialog({ title, onClose, shape = '', bare = false, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    if (element && !element.open) element.showModal();
  }, []);
  return (
    <dialog
      ref={dialog}
      className={`sheet ${shape}`}
      aria-label={title}
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      {bare ? (
        children
      ) : (
        <View style={layout.dialog}>
          <View style={layout.between}>
            <Text role="heading" aria-level={2} style={[text.title, { fontSize: 16 }]}>
              {title}
            </Text>
            <Button label="Close" icon="close" small look="bare" onPress={onClose} />
          </View>
          {children}
        </View>
      )}
    </dialog>
  );
}
