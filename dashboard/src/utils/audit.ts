/** Lines of the audit log, and how they read. Pure. */
import { pageOf } from './routes';
import type { Kind } from './resources';

export interface AuditLine {
  time: string;
  user: string;
  groups: string[];
  by: string;
  method: string;
  path: string;
  query: string;
  code: number;
  from: string;
  userAgent: string;
  requestId: string;
  /** The user that a refused login was for. */
  login?: string;
  /** Of AWS calls: `kms:Decrypt`, and the ARN it was done to. */
  action?: string;
  resource?: string;
}

export interface Told {
  verb: string;
  what: string;
  /** The screen of the thing, where there is one. */
  to: string;
}

const VERBS: Record<string, string> = { POST: 'made', PUT: 'wrote', PATCH: 'changed', DELETE: 'deleted' };
const DOORS: [RegExp, string][] = [
  [/^\/auth\/login$/, 'logged in'],
  [/^\/auth\/logout$/, 'signed out'],
  [/^\/auth\/password$/, 'set a password'],
  [/^\/auth\/join$/, 'joined a machine'],
];

/** `POST /apis/…/services/web/…` as a verb and a name. */
export function toldOf(line: AuditLine): Told {
  if (/^\/auth\/(login|totp)/.test(line.path) && isRefused(line) && !line.user)
    return { verb: 'could not log in', what: line.login ? `as ${line.login}` : '', to: '' };
  const door = DOORS.find(([path]) => path.test(line.path));
  if (door) return { verb: door[1], what: '', to: '' };
  const found = /^\/(?:api|apis\/([^/]+))\/([^/]+)(?:\/namespaces\/([^/]+))?\/([^/]+)(?:\/([^/]+))?(?:\/(.+))?$/.exec(
    line.path,
  );
  if (!found && line.action) return { verb: 'called', what: `${line.action} ${line.resource ?? ''}`.trim(), to: '' };
  const dry = line.query.includes('dryRun=All') ? ' (dry run)' : '';
  const verb = VERBS[line.method] ?? line.method;
  if (!found) return { verb, what: line.path + dry, to: '' };
  const [, group = '', version = '', namespace, plural = '', name = '', more] = found;
  if (more === 'exec') return { verb: 'ran a command in', what: name, to: '' };
  if (more === 'eviction') return { verb: 'moved away', what: name, to: '' };
  const kind: Kind = { group, version, plural, kind: plural, namespaced: Boolean(namespace) };
  const to = name && !more && line.method !== 'DELETE' ? pageOf(kind, { metadata: { name, namespace } }) : '';
  return { verb, what: [plural, name, more].filter(Boolean).join(' / ') + dry, to };
}

export function isRefused(line: AuditLine): boolean {
  return line.code >= 400;
}

/** `people`: not what the house's own services and machines do all day. */
export type Filter = 'people' | 'all' | 'refused';

/** Those that hold what was typed. */
export function matching(lines: readonly AuditLine[], wanted: string, filter: Filter): AuditLine[] {
  const low = wanted.toLowerCase();
  return lines.filter(
    (line) =>
      (filter !== 'refused' || isRefused(line)) &&
      (filter !== 'people' || !/^system:(service|worker):/.test(line.by || line.user)) &&
      `${line.user} ${line.by} ${line.method} ${line.path} ${line.code} ${line.from} ${line.login ?? ''} ${line.action ?? ''} ${line.resource ?? ''}`
        .toLowerCase()
        .includes(low),
  );
}

/** Whether a line's resource is that one: in whatever region it was named, and of secrets also without the random end
 * of their ARN, as a request that was refused may have named them. */
export function isAbout(resource: string | undefined, arn: string): boolean {
  const wanted = placeless(arn);
  const found = placeless(resource ?? '');
  return found !== '' && (found === wanted || (/^secretsmanager:/.test(wanted) && found === wanted.slice(0, -7)));
}

/** Service, account and name of an ARN; empty for what is none. */
function placeless(arn: string): string {
  const [word, , service = '', , account = '', ...name] = arn.split(':');
  return word === 'arn' && name.length ? [service, account, ...name].join(':') : '';
}
