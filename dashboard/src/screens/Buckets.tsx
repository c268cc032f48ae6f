import { useState } from 'react';

import { KindScreen } from '../components/KindScreen';
import { NameDialog } from '../components/NameDialog';
import { ServiceOff } from '../components/ServiceOff';
import { Button } from '../components/Button';
import type { Column } from '../components/DataTable';
import { go, pageOf } from '../utils/routes';
import { BUCKETS, type Resource } from '../utils/resources';

const OPEN: Column<Resource> = {
  name: '',
  width: 100,
  fixed: true,
  end: true,
  cell: (each) => <Button label="Objects" onPress={() => go(pageOf(BUCKETS, each, 'objects'))} />,
};

const EXTRA = [OPEN];

/** Places for objects. */
export function Buckets() {
  const [making, setMaking] = useState(false);
  return (
    <>
      <KindScreen
        kind={BUCKETS}
        title="Buckets"
        about="Places for objects, encrypted by default. S3 tools see the same ones."
        next="Make one here, or: aws s3 mb s3://first"
        onNew={() => setMaking(true)}
        extra={EXTRA}
        above={<ServiceOff speaks="s3" what="Objects cannot be reached" />}
      />
      {making && (
        <NameDialog
          kind={BUCKETS}
          title="New bucket"
          about="S3 tools will know it by this name."
          onClose={() => setMaking(false)}
        />
      )}
    </>
  );
}
