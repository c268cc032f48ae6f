/** What roles of the cloud and IAM say of one person. Pure. */
import { ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS, type Kind, type Resource } from './resources';

interface Subject {
  kind: string;
  name: string;
  namespace?: string;
}

export interface Bound {
  kind: Kind;
  binding: Resource;
  role: string;
  /** Empty: everywhere. */
  namespace: string;
  /** The group it is given through; empty for a binding that names them. */
  through: string;
}

/** Bindings that name a user, or a group of theirs. */
export function bindingsOf(
  name: string,
  groups: readonly string[],
  local: readonly Resource[],
  wide: readonly Resource[],
): Bound[] {
  const found = (kind: Kind, all: readonly Resource[]) =>
    all.flatMap((binding) => {
      const { subjects = [], roleRef } = binding as Resource & { subjects?: Subject[]; roleRef?: { name: string } };
      const hit = subjects.find(
        (each) => (each.kind === 'User' && each.name === name) || (each.kind === 'Group' && groups.includes(each.name)),
      );
      if (!hit) return [];
      const through = hit.kind === 'Group' ? hit.name : '';
      return [{ kind, binding, role: roleRef?.name ?? '', namespace: binding.metadata.namespace ?? '', through }];
    });
  return [...found(CLUSTER_ROLE_BINDINGS, wide), ...found(ROLE_BINDINGS, local)];
}

export interface Held {
  name: string;
  /** Where it comes from: of their own, or the group that has it. */
  of: string;
  /** Empty where only the ARN of a managed policy is known. */
  document: string;
}

/** Policies of an identity of IAM: inline and attached, its own and those of its groups. */
export function policiesOf(
  identity: Resource | undefined,
  groups: readonly Resource[],
  policies: readonly Resource[],
): Held[] {
  if (!identity) return [];
  const mine = (identity.spec?.groups ?? []) as string[];
  const of = (holder: Resource, from: string): Held[] => [
    ...Object.entries((holder.spec?.inline ?? {}) as Record<string, string>).map(([name, document]) => ({
      name,
      of: from,
      document,
    })),
    ...((holder.spec?.attached ?? []) as string[]).map((arn) => ({
      name: arn,
      of: from,
      document: documentOf(arn, policies),
    })),
  ];
  const theirs = groups.filter(
    (each) => mine.includes(each.spec?.groupName) && each.metadata.namespace === identity.metadata.namespace,
  );
  return [...of(identity, ''), ...theirs.flatMap((each) => of(each, each.spec.groupName as string))];
}

/** The document of a managed policy of this account. AWS's own are the cloud's, and lie nowhere here. */
export function documentOf(arn: string, policies: readonly Resource[]): string {
  if (arn.startsWith('arn:aws:iam::aws:')) return '';
  const name = arn.slice(arn.lastIndexOf('/') + 1);
  const found = policies.find((each) => each.spec?.policyName === name);
  return found ? currentDocument(found) : '';
}

/** The version of a managed policy that counts. */
export function currentDocument(policy: Resource): string {
  const versions = (policy.spec?.versions ?? []) as { number: number; document: string }[];
  return versions.find((each) => each.number === (policy.spec?.defaultVersion ?? 1))?.document ?? '';
}

/** The spec without its documents, which are drawn on their own. */
export function withoutDocuments(spec: Record<string, unknown>): Record<string, unknown> {
  const { inline: _inline, versions: _versions, trust: _trust, policy: _policy, ...rest } = spec;
  return rest;
}
