import { useEffect, useRef, type ReactNode } from 'react';
import { Text, View } from 'react-native';

import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { Button } from './Button';

/** What to type or choose first; otherwise the first button of the content, which is the harmless one. */
function first(dialog: HTMLElement): HTMLElement | null {
  const content = dialog.querySelector<HTMLElement>('[data-testid="dialog-content"]') ?? dialog;
  return (
    content.querySelector<HTMLElement>('input:not([hidden]), textarea, [role="radio"][aria-checked="true"]') ??
    content.querySelector<HTMLElement>('button, [role="button"]')
  );
}

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
    if (!element || element.open) return;
    element.showModal();
    first(element)?.focus();
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
            <Text role="heading" aria-level={2} style={[text.named, { fontSize: 17 }]}>
              {title}
            </Text>
            <Button label="Close" icon="close" small look="bare" onPress={onClose} />
          </View>
          <View style={layout.dialogContent} testID="dialog-content">
            {children}
          </View>
        </View>
      )}
    </dialog>
  );
}
