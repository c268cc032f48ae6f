/**
 * The part of React Native for Web this dashboard uses, typed. React Native's own package would bring its whole
 * toolchain for its types, and knows nothing of what the web adds (href, hover, tabIndex).
 */
declare module 'react-native' {
  import type { ComponentType, ReactNode, Ref, SyntheticEvent } from 'react';

  type Flat = { [property: string]: unknown };
  export type Style = Flat | Style[] | false | null | undefined;

  export interface PressState {
    hovered: boolean;
    focused: boolean;
    pressed: boolean;
  }

  interface Common {
    children?: ReactNode;
    id?: string;
    role?: string;
    tabIndex?: 0 | -1;
    testID?: string;
    href?: string;
    hrefAttrs?: { target?: string; rel?: string; download?: string };
    dataSet?: Record<string, string>;
    ref?: Ref<HTMLElement>;
    onKeyDown?: (event: KeyEvent) => void;
    'aria-label'?: string;
    'aria-labelledby'?: string;
    'aria-describedby'?: string;
    'aria-level'?: number;
    'aria-live'?: 'polite' | 'assertive' | 'off';
    'aria-hidden'?: boolean;
    'aria-expanded'?: boolean;
    'aria-selected'?: boolean;
    'aria-checked'?: boolean | 'mixed';
    'aria-current'?: 'page' | 'true' | undefined;
    'aria-modal'?: boolean;
    'aria-busy'?: boolean;
    'aria-disabled'?: boolean;
    'aria-controls'?: string;
    'aria-activedescendant'?: string;
    'aria-haspopup'?: 'menu' | 'dialog' | 'listbox';
    'aria-valuenow'?: number;
    'aria-valuemin'?: number;
    'aria-valuemax'?: number;
    'aria-valuetext'?: string;
    'aria-sort'?: 'ascending' | 'descending' | 'none';
  }

  export interface KeyEvent extends SyntheticEvent<HTMLElement> {
    key: string;
    metaKey: boolean;
    ctrlKey: boolean;
    shiftKey: boolean;
    nativeEvent: KeyboardEvent;
  }

  export interface ViewProps extends Common {
    style?: Style;
    onClick?: (event: SyntheticEvent) => void;
    onLayout?: (event: { nativeEvent: { layout: { width: number; height: number } } }) => void;
    onMouseEnter?: () => void;
    onMouseLeave?: () => void;
    onDragOver?: (event: SyntheticEvent) => void;
    onDrop?: (event: SyntheticEvent) => void;
  }
  export const View: ComponentType<ViewProps>;

  export interface TextProps extends Common {
    style?: Style;
    numberOfLines?: number;
    selectable?: boolean;
    onPress?: () => void;
    onClick?: (event: SyntheticEvent) => void;
  }
  export const Text: ComponentType<TextProps>;

  export interface PressableProps extends Omit<Common, 'children'> {
    children?: ReactNode | ((state: PressState) => ReactNode);
    style?: Style | ((state: PressState) => Style);
    disabled?: boolean;
    onPress?: (event: SyntheticEvent) => void;
    onHoverIn?: () => void;
    onHoverOut?: () => void;
    onFocus?: () => void;
    onBlur?: () => void;
  }
  export const Pressable: ComponentType<PressableProps>;

  export interface ScrollViewProps extends Common {
    style?: Style;
    contentContainerStyle?: Style;
    horizontal?: boolean;
    onScroll?: (event: {
      nativeEvent: {
        contentOffset: { y: number };
        contentSize: { height: number };
        layoutMeasurement: { height: number };
      };
    }) => void;
    scrollEventThrottle?: number;
  }
  export const ScrollView: ComponentType<ScrollViewProps>;

  export interface TextInputProps extends Omit<Common, 'children'> {
    style?: Style;
    value?: string;
    defaultValue?: string;
    placeholder?: string;
    placeholderTextColor?: string;
    secureTextEntry?: boolean;
    multiline?: boolean;
    autoFocus?: boolean;
    autoComplete?: string;
    autoCapitalize?: 'none' | 'sentences';
    autoCorrect?: boolean;
    spellCheck?: boolean;
    inputMode?: 'text' | 'numeric' | 'search' | 'decimal';
    editable?: boolean;
    rows?: number;
    onChangeText?: (text: string) => void;
    onSubmitEditing?: () => void;
    onFocus?: () => void;
    onBlur?: () => void;
    onKeyPress?: (event: KeyEvent) => void;
    'aria-invalid'?: boolean;
  }
  export const TextInput: ComponentType<TextInputProps>;

  export const StyleSheet: {
    create<T extends Record<string, Flat>>(styles: T): { [K in keyof T]: Flat };
    absoluteFill: Flat;
  };
  export function useWindowDimensions(): { width: number; height: number };
}
