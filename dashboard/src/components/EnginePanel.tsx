import { SECRETS, type Service } from '../utils/resources';
import { pageOf } from '../utils/routes';
import { Fact, Facts } from './Facts';
import { Panel } from './Panel';
import { TextLink } from './TextLink';

/** What a service that is an engine runs, where its password is, and how much its volumes hold. */
export function EnginePanel({ service }: { service: Service }) {
  const { engine, volumes = [], instances = [] } = service.status;
  if (!engine) return null;
  const address = instances.find((each) => each.address)?.address;
  const secret = engine.secret && { name: engine.secret, namespace: service.metadata.namespace };
  return (
    <Panel title="Engine">
      <Facts>
        <Fact name="Program">{[engine.name, engine.version].filter(Boolean).join(' ')}</Fact>
        {address && <Fact name="Listens at">{address}</Fact>}
        {secret && (
          <Fact name="Password">
            <TextLink to={pageOf(SECRETS, { metadata: secret })}>{`Secret ${secret.name}`}</TextLink>
          </Fact>
        )}
        {volumes.map((each) => (
          <Fact key={each.name} name={`Volume ${each.name}`}>
            {each.size ? `${each.used} of ${each.size}` : each.used}
          </Fact>
        ))}
      </Facts>
    </Panel>
  );
}
