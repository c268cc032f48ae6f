/** Resources as the API tells them, and where each kind is served. */

export interface Meta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

export interface Condition {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
}

export interface Resource {
  apiVersion?: string;
  kind?: string;
  metadata: Meta;
  spec?: any;
  status?: any;
}

export interface Instance {
  name: string;
  worker?: string;
  address?: string;
  ready?: boolean;
  phase?: string;
  restarts?: number;
  startedAt?: string;
  message?: string;
}

/** A Service that another one needs and cannot use now. `managed`: the managed service it is, if any. */
export interface MissingDependency {
  name: string;
  managed?: string;
  reason: 'NotFound' | 'Disabled' | 'NotReady';
}

export interface Service extends Resource {
  spec: {
    managed?: string;
    image?: string;
    engine?: { name: string; version?: string };
    command?: string[];
    enabled?: boolean;
    activation?: 'always' | 'onDemand';
    replicas?: number;
    needs?: string[];
    env?: { name: string; value: string }[];
  };
  status: {
    phase?: string;
    ready?: string;
    replicas?: number;
    readyReplicas?: number;
    instances?: Instance[];
    refusals?: { worker: string; reason: string }[];
    engine?: { name: string; version?: string; program?: string; secret?: string };
    volumes?: { name: string; used: string; size?: string }[];
    missingDependencies?: MissingDependency[];
    conditions?: Condition[];
  };
}

export interface Worker extends Resource {
  spec: { unschedulable?: boolean; taints?: { key: string; effect: string }[] };
  status: {
    capacity?: Amounts;
    usage?: Amounts;
    phase?: string;
    addresses?: { type: string; address: string }[];
    system?: Record<string, string>;
    conditions?: Condition[];
  };
}

export interface Amounts {
  cpu?: string;
  memory?: string;
  disk?: string;
}

export interface Event extends Resource {
  involvedObject: { kind?: string; name?: string; namespace?: string; uid?: string };
  reason?: string;
  message?: string;
  type?: string;
  count?: number;
  firstTimestamp?: string;
  lastTimestamp?: string;
  eventTime?: string;
  series?: { lastObservedTime?: string };
  source?: { component?: string };
}

/** One kind as discovery tells it. `group` is empty for the core group. */
export interface Kind {
  group: string;
  version: string;
  plural: string;
  kind: string;
  namespaced: boolean;
  /** What the server does with them; unknown before discovery has answered. */
  verbs?: readonly string[];
}

const ours = (plural: string, kind: string, namespaced = true): Kind => ({
  group: 'aerekos.cloud',
  version: 'v1',
  plural,
  kind,
  namespaced,
});

export const SERVICES = ours('services', 'Service');
export const WORKERS = ours('workers', 'Worker', false);
export const USERS = ours('users', 'User', false);
export const JOIN_TOKENS = ours('jointokens', 'JoinToken', false);
export const KEYS = ours('keys', 'Key');
export const BUCKETS = ours('buckets', 'Bucket');
export const MANAGED_SECRETS = ours('managedsecrets', 'ManagedSecret');
export const QUEUES = ours('queues', 'Queue');
export const TOPICS = ours('topics', 'Topic');
export const SUBSCRIPTIONS = ours('subscriptions', 'Subscription');
export const SCHEDULES = ours('schedules', 'Schedule');
export const ALERT_RULES = ours('alertrules', 'AlertRule');
export const ALERT_CHANNELS = ours('alertchannels', 'AlertChannel');
export const ALERT_SILENCES = ours('alertsilences', 'AlertSilence');
export const WEBHOOK_ENDPOINTS = ours('webhookendpoints', 'WebhookEndpoint');
export const WEBHOOK_SOURCES = ours('webhooksources', 'WebhookSource');
export const DATABASES = ours('databases', 'Database');
export const DATABASE_USERS = ours('databaseusers', 'DatabaseUser');
export const DATABASE_BACKUPS = ours('databasebackups', 'DatabaseBackup');
export const KEY_GRANTS = ours('keygrants', 'KeyGrant');
export const KEY_ALIASES = ours('keyaliases', 'KeyAlias');
export const IAM_USERS = ours('iamusers', 'IamUser');
export const IAM_GROUPS = ours('iamgroups', 'IamGroup');
export const IAM_ROLES = ours('iamroles', 'IamRole');
export const IAM_POLICIES = ours('iampolicies', 'IamPolicy');
const rbac = (plural: string, kind: string, namespaced = true): Kind => ({
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  plural,
  kind,
  namespaced,
});
export const ROLE_BINDINGS = rbac('rolebindings', 'RoleBinding');
export const CLUSTER_ROLE_BINDINGS = rbac('clusterrolebindings', 'ClusterRoleBinding', false);
export const SERVICE_ACCOUNTS: Kind = {
  group: '',
  version: 'v1',
  plural: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
};
export const EVENTS: Kind = { group: '', version: 'v1', plural: 'events', kind: 'Event', namespaced: true };
export const NAMESPACES: Kind = {
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
};

const core = (plural: string, kind: string): Kind => ({ group: '', version: 'v1', plural, kind, namespaced: true });
export const SECRETS = core('secrets', 'Secret');
export const CONFIG_MAPS = core('configmaps', 'ConfigMap');
/** Only to be asked about: who may run commands, and who may move instances away. */
export const POD_EXEC = core('pods/exec', 'Pod');
export const POD_EVICTION = core('pods/eviction', 'Pod');
/** No kind, but somebody must be allowed to read it. */
export const AUDIT_LOG = ours('auditlog', 'AuditLog', false);

export function apiVersion(kind: Kind): string {
  return kind.group ? `${kind.group}/${kind.version}` : kind.version;
}

function root(kind: Kind): string {
  return kind.group ? `/apis/${kind.group}/${kind.version}` : `/api/${kind.version}`;
}

/** The path of all of a kind, in one namespace or in every one. */
export function collection(kind: Kind, namespace?: string): string {
  const where = kind.namespaced && namespace ? `/namespaces/${namespace}` : '';
  return `${root(kind)}${where}/${kind.plural}`;
}

/** The path of one resource. */
export function place(kind: Kind, name: string, namespace?: string): string {
  return `${collection(kind, kind.namespaced ? (namespace ?? 'default') : undefined)}/${encodeURIComponent(name)}`;
}

/** Other groups have kinds of the same name. */
export function isSame(a: Kind, b: Kind): boolean {
  return a.group === b.group && a.plural === b.plural;
}

export const HIDDEN = '(hidden)';

/** What a person wished: the spec, or for kinds without one everything else. Secrets keep their values to themselves. */
export function wishOf(resource: Resource): Record<string, unknown> {
  const { apiVersion: _version, kind, metadata: _metadata, status: _status, ...rest } = masked(resource);
  return (kind !== 'Secret' && rest.spec) || rest;
}

/** The resource as it may be shown. */
export function masked<T extends Resource>(resource: T): T {
  // Items of a list may come without their kind.
  if (resource.kind !== 'Secret' && !(resource.kind === undefined && 'data' in resource)) return resource;
  const hide = (values: unknown) => Object.fromEntries(Object.keys(values ?? {}).map((name) => [name, HIDDEN]));
  const { data, stringData } = resource as T & { data?: object; stringData?: object };
  return { ...resource, ...(data && { data: hide(data) }), ...(stringData && { stringData: hide(stringData) }) };
}

export function keyOf(resource: Resource): string {
  return `${resource.metadata.namespace ?? ''}/${resource.metadata.name}`;
}

export function conditionOf(resource: Resource, type: string): Condition | undefined {
  return (resource.status?.conditions as Condition[] | undefined)?.find((each) => each.type === type);
}
