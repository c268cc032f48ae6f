/** How a bucket is configured, as S3 tells it: its resource says little of that. */
import { raw } from './api';
import { ApiError, inWords } from './errors';
import type { AccessBlock, AclGrant, BucketSide, Ownership } from './exposure';
import { readLifecycle, type LifecycleRule } from './lifecycle';
import { pathOf } from './s3';
import { elementsIn, parsed, textIn } from './xml';

/** What was answered; or why it was not, in words. */
export type Answer<T> = { value: T; refused?: undefined } | { value?: undefined; refused: string };

export type Versioning = 'Enabled' | 'Suspended' | 'never';

export interface BucketConfiguration {
  versioning: Answer<Versioning>;
  block: Answer<AccessBlock>;
  ownership: Answer<Ownership>;
  /** Empty for none. */
  policy: Answer<string>;
  isPublic: Answer<boolean>;
  acl: Answer<{ account: string; grants: AclGrant[] }>;
  lifecycle: Answer<LifecycleRule[]>;
}

const NO_BLOCK: AccessBlock = { blockAcls: false, ignoreAcls: false, blockPolicy: false, restrict: false };

/** Everything at once; each may be refused by itself. Raises what the signal raises. */
export async function readConfiguration(bucket: string, signal: AbortSignal): Promise<BucketConfiguration> {
  const get = async <T>(
    what: string,
    read: (text: string) => T,
    absent: Record<string, T> = {},
  ): Promise<Answer<T>> => {
    try {
      return { value: read(await (await raw(`${pathOf(bucket)}?${what}`, { signal })).text()) };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ApiError && error.reason in absent) return { value: absent[error.reason]! };
      return { refused: inWords(error).what };
    }
  };
  const [versioning, block, ownership, policy, isPublic, acl, lifecycle] = await Promise.all([
    get('versioning', readVersioning),
    get('publicAccessBlock', readBlock, { NoSuchPublicAccessBlockConfiguration: NO_BLOCK }),
    get('ownershipControls', readOwnership, { OwnershipControlsNotFoundError: 'ObjectWriter' as Ownership }),
    get('policy', (text) => text, { NoSuchBucketPolicy: '' }),
    get('policyStatus', (xml) => textIn(parsed(xml), 'IsPublic').toLowerCase() === 'true'),
    get('acl', readAcl),
    get('lifecycle', readLifecycle, { NoSuchLifecycleConfiguration: [] }),
  ]);
  return { versioning, block, ownership, policy, isPublic, acl, lifecycle };
}

/** The bucket's side of a decision; or why it is not whole. */
export function sideOf(bucket: string, found: BucketConfiguration): BucketSide | string {
  const { policy, isPublic, block, ownership, acl } = found;
  const missing = [policy, isPublic, block, ownership, acl].find((each) => each.refused !== undefined);
  if (missing) return missing.refused;
  return {
    bucket,
    ...acl.value!,
    policy: policy.value!,
    isPublic: isPublic.value!,
    block: block.value!,
    ownership: ownership.value!,
  };
}

export function readVersioning(xml: string): Versioning {
  const status = textIn(parsed(xml), 'Status');
  return status === 'Enabled' || status === 'Suspended' ? status : 'never';
}

export function readBlock(xml: string): AccessBlock {
  const document = parsed(xml);
  const is = (name: string) => textIn(document, name).toLowerCase() === 'true';
  return {
    blockAcls: is('BlockPublicAcls'),
    ignoreAcls: is('IgnorePublicAcls'),
    blockPolicy: is('BlockPublicPolicy'),
    restrict: is('RestrictPublicBuckets'),
  };
}

export function readOwnership(xml: string): Ownership {
  return textIn(parsed(xml), 'ObjectOwnership') as Ownership;
}

/** Canonical ids begin with the number of their account. */
export function readAcl(xml: string): { account: string; grants: AclGrant[] } {
  const document = parsed(xml);
  const owner = document.getElementsByTagName('Owner')[0];
  const grants = elementsIn(document, 'Grant').map((each) => ({
    permission: textIn(each, 'Permission'),
    group: textIn(each, 'URI'),
    id: textIn(each, 'ID'),
  }));
  return { account: owner ? textIn(owner, 'ID').slice(0, 12) : '', grants };
}
