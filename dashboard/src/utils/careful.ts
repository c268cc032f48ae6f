/** The actions that take something away from others: they ask first, naming whom. */
import { allOf, restart, scale, setEnabled, setSpec } from './actions';
import { catalog, type CatalogEntry } from './catalog';
import { askFirst } from './questions';
import { SERVICES, USERS, type Resource, type Service } from './resources';
import { session } from './session';
import { needsOf } from './topology';

/** Enabled services that need this one, directly or through others, by name. Pure. */
export function dependentsOf(
  service: Service,
  services: readonly Service[],
  offered: readonly CatalogEntry[],
): string[] {
  const near = services.filter(
    (each) => each.metadata.namespace === service.metadata.namespace && (each.spec.enabled ?? true),
  );
  const found = new Set<string>();
  for (const waiting = [service.metadata.name]; waiting.length;) {
    const name = waiting.pop()!;
    for (const each of near) {
      const other = each.metadata.name;
      if (other === service.metadata.name || found.has(other) || !needsOf(each, offered).includes(name)) continue;
      found.add(other);
      waiting.push(other);
    }
  }
  return [...found].sort();
}

/** `a`, `a and b`, `a, b and 3 more`. */
export function listed(names: readonly string[], most = 4): string {
  const shown = names.length > most ? names.slice(0, most - 1) : names;
  const rest = names.length - shown.length;
  const all = rest ? [...shown, `${rest} more`] : shown;
  return all.length < 2 ? (all[0] ?? '') : `${all.slice(0, -1).join(', ')} and ${all.at(-1)}`;
}

function needing(service: Service): { names: string; verb: string } | null {
  const found = dependentsOf(service, allOf<Service>(SERVICES).view.get().items, catalog.get());
  return found.length ? { names: listed(found), verb: found.length === 1 ? 'needs' : 'need' } : null;
}

function afterAsking(service: Service, title: string, consequence: string, action: string, onYes: () => void): void {
  const found = needing(service);
  if (!found) return onYes();
  askFirst({ title, what: `${found.names} ${found.verb} ${service.metadata.name}. ${consequence}`, action, onYes });
}

export function enableOrDisable(service: Service, enabled: boolean): void {
  if (enabled) return void setEnabled(service, true);
  const name = service.metadata.name;
  const consequence = 'What needs it stops working until it is enabled again.';
  afterAsking(service, `Disable ${name}?`, consequence, 'Disable it', () => void setEnabled(service, false));
}

export function scaleTo(service: Service, replicas: number): void {
  if (replicas > 0) return void scale(service, replicas);
  const consequence = 'With no instance, what needs it stops working until it is scaled up again.';
  const title = `Scale ${service.metadata.name} to 0?`;
  afterAsking(service, title, consequence, 'Scale to 0', () => void scale(service, 0));
}

export function restartIt(service: Service): void {
  const rolling = (service.spec.replicas ?? 1) > 1;
  const consequence = rolling
    ? 'Instances restart one after the other, so it stays reachable.'
    : 'It has one instance: what needs it waits until that is ready again.';
  const name = service.metadata.name;
  afterAsking(service, `Restart ${name}?`, consequence, 'Restart it', () => void restart(service));
}

/** The server refuses it for the last admin who could let others in. */
export function letInOrNot(user: Resource, disabled: boolean): void {
  const name = user.metadata.name;
  const done = `${name} ${disabled ? 'cannot log in any more' : 'may log in again'}`;
  const set = () => void setSpec(USERS, user, { disabled }, done);
  const now = session.get();
  if (!disabled || now.state !== 'in' || now.who.name !== name) return set();
  askFirst({
    title: 'Disable yourself?',
    what: `You are ${name}. You are signed out at once, and only another admin can let you in again.`,
    action: 'Disable my account',
    onYes: set,
  });
}
