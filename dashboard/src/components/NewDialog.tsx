import { Suspense } from 'react';

import { useSchema } from '../hooks/useSchema';
import { fieldsOf, skeleton } from '../utils/discovery';
import { lazily } from '../utils/lazily';
import { go, pageOf } from '../utils/routes';
import type { Kind, Resource } from '../utils/resources';
import { Dialog } from './Dialog';
import { Loading } from './Loading';

const YamlEditor = lazily(() => import('./YamlEditor'), 'YamlEditor');

/** A new resource of any kind, begun from what its schema asks for. */
export function NewDialog({ kind, begin, onClose }: { kind: Kind; begin?: object; onClose: () => void }) {
  const schema = useSchema(kind);
  const done = (written: Resource) => {
    onClose();
    go(pageOf(kind, written));
  };
  return (
    <Dialog title={`New ${kind.kind}`} shape="wide" onClose={onClose}>
      <Suspense fallback={<Loading what="the editor" />}>
        {schema !== undefined && (
          <YamlEditor
            kind={kind}
            resource={{ ...skeleton(kind, fieldsOf(schema)), ...(begin ? { spec: begin } : {}) } as Resource}
            isNew
            mayWrite
            schema={schema}
            onDone={done}
          />
        )}
      </Suspense>
    </Dialog>
  );
}
