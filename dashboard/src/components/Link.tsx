import type { ReactNode } from 'react';
import { Pressable, type PressState, type Style } from 'react-native';

import { go } from '../utils/routes';

interface Props {
  to: string;
  label?: string;
  here?: boolean;
  style?: Style | ((state: PressState) => Style);
  children: ReactNode | ((state: PressState) => ReactNode);
}

/** A real link (new tab, copy address work) that changes the screen without loading the page again. */
export function Link({ to, label, here, style, children }: Props) {
  return (
    <Pressable
      role="link"
      href={to}
      aria-label={label}
      aria-current={here ? 'page' : undefined}
      style={style}
      onPress={(event) => {
        const click = event.nativeEvent as MouseEvent;
        if (click.metaKey || click.ctrlKey || click.shiftKey) return;
        event.preventDefault();
        go(to);
      }}
    >
      {children}
    </Pressable>
  );
}
