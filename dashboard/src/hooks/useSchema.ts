import { useEffect, useState } from 'react';

import { schemaOf, type KindSchema } from '../utils/discovery';
import type { Kind } from '../utils/resources';

/** The kind's schema; undefined until it has come, null when there is none. */
export function useSchema(kind: Kind): KindSchema | null | undefined {
  const [schema, setSchema] = useState<KindSchema | null>();
  useEffect(() => {
    let gone = false;
    setSchema(undefined);
    void schemaOf(kind).then((found) => gone || setSchema(found));
    return () => {
      gone = true;
    };
  }, [kind]);
  return schema;
}
