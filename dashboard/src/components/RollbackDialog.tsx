import { Suspense } from 'react';
import { Text, View } from 'react-native';

import { useHistory } from '../hooks/useChanges';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { useNow } from '../hooks/useNow';
import { lazily } from '../utils/lazily';
import { SERVICES, type Resource } from '../utils/resources';
import { ago } from '../utils/time';
import { Button } from './Button';
import { Dialog } from './Dialog';
import { goBack } from './History';

const StepDiff = lazily(() => import('./StepDiff'), 'StepDiff');

/** Back to the newest version with another spec. */
export function RollbackDialog({ service, onClose }: { service: Resource; onClose: () => void }) {
  const { name, namespace = '' } = service.metadata;
  const steps = useHistory(SERVICES, name, namespace);
  const now = useNow(5000);
  const wanted = JSON.stringify(service.spec);
  const older = steps.find((each) => each.verb !== 'deleted' && JSON.stringify(each.resource.spec) !== wanted);
  const back = () => {
    if (older) void goBack(SERVICES, service, older);
    onClose();
  };
  return (
    <Dialog title={`Roll back ${name}`} shape="wide" onClose={onClose}>
      {older ? (
        <>
          <Text style={text.body}>
            Back to version {older.revision}, of {ago(older.at, now)}. Instances are replaced one after the other.
          </Text>
          <Suspense fallback={null}>
            <StepDiff before={service} after={{ ...service, spec: older.resource.spec }} label="What would change" />
          </Suspense>
        </>
      ) : (
        <Text style={text.soft}>The kept history knows no other version. The YAML tab changes anything.</Text>
      )}
      <View style={[layout.row, { justifyContent: 'flex-end' }]}>
        <Button label="Cancel" onPress={onClose} />
        {older && <Button label="Roll back" look="primary" onPress={back} id="rollback" />}
      </View>
    </Dialog>
  );
}
