import { Text } from 'react-native';

import { text } from '../styles/text';
import { color } from '../styles/tokens';
import { Link } from './Link';
import { layout } from '../styles/layout';

/** The name of something, leading to it. */
export function TextLink({ to, children, strong = true }: { to: string; children: string; strong?: boolean }) {
  return (
    <Link to={to} style={layout.link}>
      {({ hovered }) => (
        <Text
          numberOfLines={1}
          style={[
            strong ? text.strong : text.small,
            hovered && { color: color.goldBright, textDecorationLine: 'underline' },
          ]}
        >
          {children}
        </Text>
      )}
    </Link>
  );
}
