/** Lifecycle rules of buckets, read from S3's XML and told in words. Pure. */
import { bytes } from './quantities';
import { elementsIn, parsed, textIn } from './xml';

export interface LifecycleRule {
  id: string;
  enabled: boolean;
  prefix: string;
  tags: { key: string; value: string }[];
  largerThan?: number;
  smallerThan?: number;
  expiresAfterDays?: number;
  expiresOn?: string;
  removesLoneMarkers: boolean;
  noncurrentDays?: number;
  /** Of the newest noncurrent versions, how many stay. */
  keptNoncurrent?: number;
  abortsUploadsAfterDays?: number;
}

export function readLifecycle(xml: string): LifecycleRule[] {
  return elementsIn(parsed(xml), 'Rule').map(ruleOf);
}

function ruleOf(rule: Element): LifecycleRule {
  const expiration = rule.getElementsByTagName('Expiration')[0];
  return {
    id: textIn(rule, 'ID'),
    enabled: textIn(rule, 'Status') === 'Enabled',
    prefix: textIn(rule, 'Prefix'),
    tags: elementsIn(rule, 'Tag').map((each) => ({
      key: textIn(each, 'Key'),
      value: textIn(each, 'Value'),
    })),
    largerThan: numberIn(rule, 'ObjectSizeGreaterThan'),
    smallerThan: numberIn(rule, 'ObjectSizeLessThan'),
    expiresAfterDays: expiration && numberIn(expiration, 'Days'),
    expiresOn: (expiration && textIn(expiration, 'Date')) || undefined,
    removesLoneMarkers: textIn(rule, 'ExpiredObjectDeleteMarker') === 'true',
    noncurrentDays: numberIn(rule, 'NoncurrentDays'),
    keptNoncurrent: numberIn(rule, 'NewerNoncurrentVersions'),
    abortsUploadsAfterDays: numberIn(rule, 'DaysAfterInitiation'),
  };
}

function numberIn(parent: Element, name: string): number | undefined {
  const text = textIn(parent, name);
  return text ? Number(text) : undefined;
}

/** What a rule is about: `Objects under logs/ that are larger than 1.0 MiB`. */
export function subjectTold(rule: LifecycleRule): string {
  const tags = rule.tags.map(({ key, value }) => `${key}=${value}`).join(', ');
  const sizes = [
    rule.largerThan !== undefined && `larger than ${bytes(rule.largerThan)}`,
    rule.smallerThan !== undefined && `smaller than ${bytes(rule.smallerThan)}`,
  ].filter(Boolean);
  return [
    rule.prefix ? `Objects under ${rule.prefix}` : 'All objects',
    tags && `tagged ${tags}`,
    sizes.length > 0 && `that are ${sizes.join(' and ')}`,
  ]
    .filter(Boolean)
    .join(' ');
}

/** What it does to them, a sentence each. `versioned`: whether the bucket keeps versions. */
export function actionsTold(rule: LifecycleRule, versioned: boolean): string[] {
  const gone = versioned ? 'get a delete marker' : 'are deleted';
  const kept = versioned ? '; their versions stay' : '';
  const found: string[] = [];
  if (rule.expiresAfterDays !== undefined)
    found.push(`They ${gone} ${days(rule.expiresAfterDays)} after they were written${kept}.`);
  if (rule.expiresOn) found.push(`They ${gone} on ${rule.expiresOn.slice(0, 10)}${kept}.`);
  if (rule.noncurrentDays !== undefined) found.push(noncurrentTold(rule.noncurrentDays, rule.keptNoncurrent));
  if (rule.removesLoneMarkers) found.push('Delete markers that are all that is left of an object are removed.');
  if (rule.abortsUploadsAfterDays !== undefined)
    found.push(`Uploads in parts are given up ${days(rule.abortsUploadsAfterDays)} after they began.`);
  return found;
}

function noncurrentTold(after: number, kept = 0): string {
  const but = kept > 0 ? `, but for the newest ${kept === 1 ? 'one' : kept}` : '';
  return `Versions that are current no more are deleted ${days(after)} later${but}.`;
}

function days(count: number): string {
  return count === 1 ? '1 day' : `${count} days`;
}
