import { KindScreen } from '../components/KindScreen';
import { TextLink } from '../components/TextLink';
import { listPage } from '../utils/routes';
import { WEBHOOK_ENDPOINTS, WEBHOOK_SOURCES } from '../utils/resources';

/** Addresses that messages are sent to. */
export function Webhooks() {
  return (
    <KindScreen
      kind={WEBHOOK_ENDPOINTS}
      title="Webhooks"
      about="Addresses that messages are sent to, signed, until they are taken."
      next="Make one here: its schema fills in the form."
      above={<TextLink to={listPage(WEBHOOK_SOURCES)}>Messages of others: webhook sources</TextLink>}
    />
  );
}
