import { Component, type ReactNode } from 'react';

import { NewerDashboard } from '../utils/lazily';
import { Button } from './Button';
import { Empty, Failed } from './Empty';

interface State {
  error: Error | null;
}

/**
 * A screen that breaks says so and leaves the frame around it alone. Mostly a part of the page could not be fetched:
 * the network changed, or a newer dashboard was built meanwhile.
 */
export class Boundary extends Component<{ children: ReactNode }, State> {
  override state: State = { error: null };

  static getDerivedStateFromError(error: Error): State {
    return { error };
  }

  override render() {
    const { error } = this.state;
    if (!error) return this.props.children;
    if (error instanceof NewerDashboard) {
      return (
        <Empty title={error.message} next="This screen is of a build that is not served any more.">
          <Button label="Load it" look="primary" onPress={() => window.location.reload()} id="load-newer" />
        </Empty>
      );
    }
    return (
      <Failed error={error}>
        <Button label="Load the page again" look="primary" onPress={() => window.location.reload()} />
      </Failed>
    );
  }
}
