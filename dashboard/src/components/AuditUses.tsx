import { useEffect, useState } from 'react';
import { Text, View } from 'react-native';

import { useMay } from '../hooks/useMay';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { ask } from '../utils/api';
import { isAbout } from '../utils/audit';
import { AUDIT_LOG } from '../utils/resources';
import { momentTold } from '../utils/time';
import { Panel } from './Panel';
import { StatusMark } from './StatusMark';

interface Use {
  time: string;
  user: string;
  action?: string;
  resource?: string;
  decision?: string;
  requestId: string;
}

const LINES = 1000;
const SHOWN = 12;

/** Who used something of AWS lately, from the newest lines of the audit log, for whoever may read it. */
export function AuditUses({ arn }: { arn: string }) {
  const may = useMay(AUDIT_LOG, 'list');
  const [uses, setUses] = useState<readonly Use[] | null>(null);
  useEffect(() => {
    if (!may || !arn) return;
    ask<{ items: Use[] }>(`/audit?tail=${LINES}`).then(
      ({ items }) => setUses(items.filter((each) => isAbout(each.resource, arn)).reverse()),
      () => undefined,
    );
  }, [may, arn]);
  if (!may || !uses) return null;
  return (
    <Panel title="Use" note={`in the last ${LINES} lines of the audit log`}>
      {uses.length === 0 && <Text style={text.soft}>Nobody used it lately.</Text>}
      {uses.slice(0, SHOWN).map((each, index) => (
        <View
          key={`${each.requestId} ${each.time}`}
          style={[home.feedRow, index === 0 && home.itemFirst, { flexWrap: 'wrap' }]}
        >
          <Text style={[text.small, { width: 132 }]}>{momentTold(each.time, Date.now())}</Text>
          <Text style={[text.strong, { minWidth: 120 }]}>{each.user}</Text>
          <Text style={[text.small, layout.grow, { minWidth: 190 }]}>{each.action}</Text>
          {each.decision === 'forbid' && <StatusMark health="warn" word="Refused" />}
        </View>
      ))}
    </Panel>
  );
}
