import { useState } from 'react';
import { Text, View } from 'react-native';

import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { setSpec } from '../utils/actions';
import { SERVICES, type Service } from '../utils/resources';
import { Button } from './Button';
import { Dialog } from './Dialog';
import { Field } from './Field';

/** Another image, or only another tag. */
export function UpdateDialog({ service, onClose }: { service: Service; onClose: () => void }) {
  const before = service.spec.image ?? '';
  const [image, setImage] = useState(before);
  const name = service.metadata.name;
  const go = () => {
    if (!image.trim() || image === before) return;
    void setSpec(SERVICES, service, { image: image.trim() }, `${name} is being updated`);
    onClose();
  };
  return (
    <Dialog title={`Update ${name}`} onClose={onClose}>
      <Text style={text.body}>
        Instances are replaced one after the other. A version that does not get ready is rolled back by itself, unless
        the service says otherwise.
      </Text>
      <Field
        label="Image"
        value={image}
        onChange={setImage}
        autoFocus
        onSubmit={go}
        hint={`Now: ${before}`}
        id="image"
      />
      <View style={[layout.row, { justifyContent: 'flex-end' }]}>
        <Button label="Cancel" onPress={onClose} />
        <Button label="Update" look="primary" disabled={!image.trim() || image === before} onPress={go} id="update" />
      </View>
    </Dialog>
  );
}
