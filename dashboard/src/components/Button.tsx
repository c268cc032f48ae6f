import { Pressable, Text } from 'react-native';

import { useLayout } from '../hooks/useLayout';
import { button } from '../styles/button';
import { color } from '../styles/tokens';
import { Icon, type IconName } from './Icon';

export type Look = 'primary' | 'golden' | 'quiet' | 'danger' | 'bare';

interface Props {
  label: string;
  onPress: () => void;
  look?: Look;
  icon?: IconName;
  disabled?: boolean;
  /** Only the icon is drawn; the label is still said. */
  small?: boolean;
  id?: string;
}

const HOVER = {
  primary: button.primaryHover,
  golden: button.goldenHover,
  quiet: button.quietHover,
  danger: button.dangerHover,
  bare: button.bareHover,
};
const BASE = { primary: button.primary, golden: button.golden, quiet: null, danger: button.danger, bare: button.bare };
const LABEL = {
  primary: button.primaryLabel,
  golden: button.goldenLabel,
  quiet: null,
  danger: button.dangerLabel,
  bare: null,
};
const TINT = {
  primary: color.inverse,
  golden: color.goldBright,
  quiet: color.text,
  danger: color.bad,
  bare: color.soft,
};

export function Button({ label, onPress, look = 'quiet', icon, disabled = false, small = false, id }: Props) {
  const { phone } = useLayout();
  return (
    <Pressable
      role="button"
      testID={id}
      aria-label={small ? label : undefined}
      disabled={disabled}
      onPress={onPress}
      style={({ hovered }) => [
        button.base,
        phone && button.phone,
        BASE[look],
        hovered && !disabled && HOVER[look],
        disabled && button.disabled,
      ]}
    >
      {icon && <Icon name={icon} tint={TINT[look]} size={14} />}
      {!small && <Text style={[button.label, LABEL[look]]}>{label}</Text>}
    </Pressable>
  );
}
