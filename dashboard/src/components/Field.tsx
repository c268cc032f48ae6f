import { useId } from 'react';
import { Pressable, Text, TextInput, View } from 'react-native';

import { useLayout } from '../hooks/useLayout';
import { forms } from '../styles/forms';
import { text } from '../styles/text';
import { color } from '../styles/tokens';

interface Props {
  label: string;
  /** The label holds a name: shown as it is written. */
  named?: boolean;
  value: string;
  onChange: (value: string) => void;
  secret?: boolean;
  error?: string;
  hint?: string;
  autoComplete?: string;
  autoFocus?: boolean;
  onSubmit?: () => void;
  numeric?: boolean;
  /** Several lines; how many are shown. */
  lines?: number;
  id?: string;
}

/** A labelled input with its hint and its fault. */
export function Field({
  label,
  named,
  value,
  onChange,
  secret,
  error,
  hint,
  autoComplete = 'off',
  autoFocus,
  onSubmit,
  numeric,
  lines,
  id,
}: Props) {
  const { phone } = useLayout();
  const name = useId();
  return (
    <View style={forms.field}>
      <Text id={name} style={named ? text.namedLabel : text.label}>
        {label}
      </Text>
      <TextInput
        aria-labelledby={name}
        aria-describedby={error || hint ? `${name}-more` : undefined}
        aria-invalid={Boolean(error)}
        testID={id}
        value={value}
        onChangeText={onChange}
        onSubmitEditing={onSubmit}
        secureTextEntry={secret}
        autoComplete={autoComplete}
        autoCapitalize="none"
        autoCorrect={false}
        spellCheck={false}
        autoFocus={autoFocus}
        inputMode={numeric ? 'numeric' : undefined}
        multiline={lines !== undefined}
        rows={lines}
        style={[
          forms.input,
          phone && forms.inputPhone,
          lines !== undefined && forms.inputLines,
          error ? forms.wrong : null,
        ]}
      />
      {(error || hint) && (
        <Text id={`${name}-more`} role={error ? 'alert' : undefined} style={error ? forms.error : text.faint}>
          {error || hint}
        </Text>
      )}
    </View>
  );
}

interface ChoiceProps<T extends string> {
  label: string;
  options: readonly { value: T; name: string }[];
  chosen: T;
  onChoose: (value: T) => void;
}

/** One of a few. */
export function Choice<T extends string>({ label, options, chosen, onChoose }: ChoiceProps<T>) {
  return (
    <View style={forms.choices} role="radiogroup" aria-label={label}>
      {options.map(({ value, name }) => (
        <Pressable
          key={value}
          role="radio"
          aria-checked={value === chosen}
          onPress={() => onChoose(value)}
          style={[forms.choice, value === chosen && forms.chosen]}
        >
          <Text style={[text.small, value === chosen && forms.chosenText]}>{name}</Text>
        </Pressable>
      ))}
    </View>
  );
}

/** What one types to narrow a list down; `/` leads here. */
export function Search({ value, onChange, what }: { value: string; onChange: (value: string) => void; what: string }) {
  const { phone } = useLayout();
  return (
    <TextInput
      testID="search"
      aria-label={`Find ${what}`}
      placeholder={phone ? `Find ${what}` : `Find ${what}   /`}
      placeholderTextColor={color.faint}
      value={value}
      onChangeText={onChange}
      inputMode="search"
      autoComplete="off"
      style={[forms.search, phone && forms.searchPhone]}
    />
  );
}
