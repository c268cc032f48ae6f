import { describe, expect, it } from 'vitest';

import {
  readAcl,
  readBlock,
  readOwnership,
  readVersioning,
  sideOf,
  type BucketConfiguration,
} from './bucketConfiguration';
import { blockTold, exposureOf, type AccessBlock, type BucketSide } from './exposure';
import { fits } from './wildcards';

const OFF: AccessBlock = { blockAcls: false, ignoreAcls: false, blockPolicy: false, restrict: false };
const OWN = '000000000000';
const OTHER = '111122223333';
const bucket = 'photos';
const objects = `arn:aws:s3:::${bucket}/*`;
const allow = (more: object) => ({ Effect: 'Allow', Action: 's3:GetObject', Resource: objects, ...more });
const side = (statements: object[], more: Partial<BucketSide> = {}): BucketSide => ({
  bucket,
  account: OWN,
  policy: statements.length ? JSON.stringify({ Version: '2012-10-17', Statement: statements }) : '',
  isPublic: false,
  block: OFF,
  ownership: 'BucketOwnerEnforced',
  grants: [],
  ...more,
});

describe('who can read a bucket', () => {
  it('is nobody else, where nothing says so', () => {
    expect(exposureOf(side([]))).toMatchObject({ reach: 'own', readers: [], remarks: [] });
    expect(exposureOf(side([])).verdict).toMatch(/^Nobody else/);
    const mine = exposureOf(side([allow({ Principal: { AWS: `arn:aws:iam::${OWN}:user/nora` } })]));
    expect(mine).toMatchObject({ reach: 'own', readers: [{ who: 'user/nora of this account', counts: true }] });
    const root = exposureOf(side([allow({ Principal: { AWS: [OWN, `arn:aws:iam::${OWN}:root`] } })]));
    expect(root.readers.map((each) => each.who)).toEqual(['this account', 'this account']);
  });
  it.each([['*'], [{ AWS: '*' }], [{ AWS: [OTHER, '*'] }]])('is everybody for the principal %j', (Principal) => {
    const told = exposureOf(side([allow({ Principal })], { isPublic: true }));
    expect([told.reach, told.verdict]).toEqual(['everybody', 'Public: everybody can read objects.']);
  });
  it('is everybody but a few for NotPrincipal', () => {
    const told = exposureOf(side([allow({ NotPrincipal: { AWS: OTHER } })], { isPublic: true }));
    expect(told).toMatchObject({ reach: 'everybody', readers: [{ who: `everybody but ${OTHER}` }] });
  });
  it.each([
    ['s3:*', 'read objects, see names'],
    ['*', 'read objects, see names'],
    ['S3:getobject', 'read objects'],
    ['s3:Get*', 'read objects'],
    ['s3:List?ucket', 'see names'],
    [['s3:PutObject', 's3:GetObjectVersion'], 'read objects'],
  ])('counts the action %j', (Action, does) => {
    expect(exposureOf(side([allow({ Action, Principal: { AWS: OTHER } })])).readers).toMatchObject([{ does }]);
  });
  it('does not take other actions for reading, and says so where they are public', () => {
    const put = side([allow({ Action: 's3:PutObject', Principal: '*' })], { isPublic: true });
    expect(exposureOf(put)).toMatchObject({ reach: 'own', readers: [] });
    expect(exposureOf(put).verdict).toContain('others may do something else');
    const not = (NotAction: string) => allow({ Action: undefined, NotAction, Principal: { AWS: OTHER } });
    expect(exposureOf(side([not('s3:Put*')])).reach).toBe('accounts');
    expect(exposureOf(side([not('s3:*')])).reach).toBe('own');
  });
  it('names other accounts, people of theirs, and services', () => {
    const Principal = { AWS: [OTHER, `arn:aws:iam::${OTHER}:role/ops`, 'AIDAEXAMPLE'], Service: 'logs.amazonaws.com' };
    const told = exposureOf(side([allow({ Principal })]));
    expect(told.reach).toBe('accounts');
    expect(told.readers.map((each) => each.who)).toEqual([
      `account ${OTHER}`,
      `role/ops of account ${OTHER}`,
      'AIDAEXAMPLE',
      'service logs.amazonaws.com',
    ]);
    expect(told.verdict).toContain(`account ${OTHER}; role/ops`);
  });
  it('tells where, and under which conditions', () => {
    const Condition = { StringEquals: { 'aws:PrincipalAccount': OTHER } };
    const part = allow({ Principal: '*', Resource: [`arn:aws:s3:::${bucket}/pub/*`], Condition });
    // The storage says that this condition leaves nothing public.
    expect(exposureOf(side([part]))).toMatchObject({
      reach: 'accounts',
      readers: [{ limits: `in pub/*; if StringEquals aws:PrincipalAccount ${OTHER}` }],
    });
    expect(exposureOf(side([part], { isPublic: true })).reach).toBe('everybody');
  });
  it('leaves out what the public access block takes away, and shows that', () => {
    const restricted = { isPublic: true, block: { ...OFF, restrict: true } };
    const told = exposureOf(side([allow({ Principal: '*' }), allow({ Principal: { AWS: OTHER } })], restricted));
    expect([told.reach, told.readers.map((each) => each.counts)]).toEqual(['own', [false, false]]);
    expect(told.verdict).toMatch(/^Nobody else: only/);
    expect(told.readers[0]!.limits).toContain('RestrictPublicBuckets');
    // A policy that names an account is not public, and counts.
    const named = side([allow({ Principal: { AWS: OTHER } })], { block: { ...OFF, restrict: true } });
    expect(exposureOf(named).reach).toBe('accounts');
  });
  it('counts lists only where ownership lets them', () => {
    const grants = [
      { permission: 'FULL_CONTROL', group: '', id: `${OWN}abc` },
      { permission: 'READ', group: 'http://acs.amazonaws.com/groups/global/AllUsers', id: '' },
      { permission: 'WRITE', group: '', id: `${OTHER}abc` },
      { permission: 'WRITE', group: 'http://acs.amazonaws.com/groups/s3/LogDelivery', id: '' },
    ];
    const open = { grants, ownership: 'ObjectWriter', isPublic: true } as const;
    expect(exposureOf(side([], { grants })).readers).toEqual([]);
    const told = exposureOf(side([], open));
    expect([told.reach, told.verdict]).toEqual(['everybody', 'Public: everybody can see the names of objects.']);
    expect(told.readers).toHaveLength(1);
    expect(told.remarks[0]).toContain('lists of their own');
    const ignored = exposureOf(side([], { ...open, isPublic: false, block: { ...OFF, ignoreAcls: true } }));
    expect([ignored.reach, ignored.readers[0]!.counts]).toEqual(['own', false]);
    const other = [{ permission: 'READ', group: '', id: `${OTHER}abc` }];
    expect(exposureOf(side([], { ...open, isPublic: false, grants: other })).reach).toBe('accounts');
    // A public list does not make the policy public: that one still counts, for whom it names.
    const both = side([allow({ Principal: { AWS: OTHER } })], { ...open, block: { ...OFF, restrict: true } });
    expect(exposureOf(both).readers.map((each) => each.counts)).toEqual([true, true]);
  });
  it('says that a Deny takes something away', () => {
    const told = exposureOf(side([{ Effect: 'Deny', Principal: '*', Action: 's3:*', Resource: objects }]));
    expect(told).toMatchObject({ reach: 'own', readers: [] });
    expect(told.remarks[0]).toContain('Deny');
  });
});

describe('the answers of S3', () => {
  it('are read', () => {
    expect(readVersioning('<VersioningConfiguration/>')).toBe('never');
    expect(readVersioning('<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>')).toBe(
      'Suspended',
    );
    const block = readBlock(
      '<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls><RestrictPublicBuckets>TRUE</RestrictPublicBuckets></PublicAccessBlockConfiguration>',
    );
    expect(block).toEqual({ ...OFF, blockAcls: true, restrict: true });
    const rule = '<Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>';
    expect(readOwnership(`<OwnershipControls>${rule}</OwnershipControls>`)).toBe('ObjectWriter');
    const grant = '<Grant><Grantee><ID>111122223333ab</ID></Grantee><Permission>READ</Permission></Grant>';
    expect(
      readAcl(
        `<AccessControlPolicy><Owner><ID>${OWN}ff</ID></Owner><AccessControlList>${grant}</AccessControlList></AccessControlPolicy>`,
      ),
    ).toEqual({ account: OWN, grants: [{ permission: 'READ', group: '', id: '111122223333ab' }] });
  });
  it('make no verdict unless all are there', () => {
    const found = {
      policy: { refused: 'no right to it' },
      isPublic: { value: false },
      block: { value: OFF },
      ownership: { value: 'BucketOwnerEnforced' },
      acl: { value: { account: OWN, grants: [] } },
    } as unknown as BucketConfiguration;
    expect(sideOf(bucket, found)).toBe('no right to it');
    expect(sideOf(bucket, { ...found, policy: { value: '' } })).toEqual(side([]));
  });
});

it('tells the switches of the public access block', () => {
  const all = { blockAcls: true, ignoreAcls: true, blockPolicy: true, restrict: true };
  expect(blockTold(OFF)).toBe('off');
  expect(blockTold(all)).toMatch(/^all four on/);
  expect(blockTold({ ...OFF, blockPolicy: true })).toBe('public policies are refused');
});

it.each([
  ['s3:*', 's3:GetObject', true],
  ['s3:Get*', 's3:PutObject', false],
  ['*Object', 's3:GetObject', true],
  ['*Object', 's3:GetObjectAcl', false],
  ['s3:?etObject', 's3:GetObject', true],
  ['s3:GetObject?', 's3:GetObject', false],
  ['a*b*c', 'aXbXbc', true],
  ['', '', true],
  ['', 'a', false],
  ['**', '', true],
])('the pattern %s fits %s: %s', (pattern, text, is) => {
  expect(fits(pattern, text)).toBe(is);
});
