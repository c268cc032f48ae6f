import { useState } from 'react';

import { KindScreen } from '../components/KindScreen';
import { NameDialog } from '../components/NameDialog';
import { DATABASES } from '../utils/resources';

/** Databases by name. */
export function Databases() {
  const [making, setMaking] = useState(false);
  return (
    <>
      <KindScreen
        kind={DATABASES}
        title="Databases"
        about="PostgreSQL by name: healed, backed up, told how to connect."
        next="Make one here; its connection is on its page once it is ready."
        onNew={() => setMaking(true)}
      />
      {making && (
        <NameDialog
          kind={DATABASES}
          title="New database"
          about="PostgreSQL, the newest version there is, with a first database, an owner, and backups that let each moment of the last days be brought back."
          specOf={() => ({ engine: 'postgresql', backup: {} })}
          onClose={() => setMaking(false)}
        />
      )}
    </>
  );
}
