import { Text, View } from 'react-native';

import { status } from '../styles/status';
import { text } from '../styles/text';
import { color } from '../styles/tokens';
import { share } from '../utils/quantities';

interface Props {
  label: string;
  part: number;
  whole: number;
  told: string;
  /** Narrow places. */
  brief?: boolean;
}

/** How much of something is used; says it in words too. Above nine tenths it asks for a look. */
export function Meter({ label, part, whole, told, brief = false }: Props) {
  const full = share(part, whole);
  const tint = full > 0.9 ? color.warn : color.soft;
  return (
    <View
      style={status.meterRow}
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(full * 100)}
      aria-valuetext={told}
    >
      <Text style={[text.faint, brief ? status.meterLabelBrief : status.meterLabel]}>{label}</Text>
      <View style={status.meter}>
        <View style={[status.meterFill, { width: `${full * 100}%`, backgroundColor: tint }]} />
      </View>
      <Text
        style={[
          text.small,
          brief ? status.meterValueBrief : status.meterValue,
          { fontVariant: ['tabular-nums'] },
          full > 0.9 && { color: color.warn },
        ]}
      >
        {told}
      </Text>
    </View>
  );
}
