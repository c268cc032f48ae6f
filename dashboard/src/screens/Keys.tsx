import { useState } from 'react';

import { KindScreen } from '../components/KindScreen';
import { NameDialog } from '../components/NameDialog';
import { ServiceOff } from '../components/ServiceOff';
import { KEYS } from '../utils/resources';

/** Encryption keys. */
export function Keys() {
  const [making, setMaking] = useState(false);
  return (
    <>
      <KindScreen
        kind={KEYS}
        title="Keys"
        about="Encryption keys that never leave this cloud. AWS KMS tools use the same ones."
        next="Make one here, or: aws kms create-key"
        onNew={() => setMaking(true)}
        above={<ServiceOff speaks="kms" what="Keys cannot be used" />}
      />
      {making && (
        <NameDialog
          kind={KEYS}
          title="New key"
          about="Its material is made inside the service that keeps keys, and never leaves it."
          more={{
            label: 'Rotate every (days)',
            hint: 'Leave empty to rotate only by hand.',
            spec: (days) => (/^\d+$/.test(days) ? { rotateEvery: Number(days) } : {}),
          }}
          onClose={() => setMaking(false)}
        />
      )}
    </>
  );
}
