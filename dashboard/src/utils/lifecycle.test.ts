import { describe, expect, it } from 'vitest';

import { actionsTold, readLifecycle, subjectTold } from './lifecycle';

const rules = (...inner: string[]) =>
  readLifecycle(
    `<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${inner.map((each) => `<Rule>${each}</Rule>`).join('')}</LifecycleConfiguration>`,
  );
const told = (inner: string, versioned = false) => {
  const [rule] = rules(`<ID>r</ID><Status>Enabled</Status>${inner}`);
  return [subjectTold(rule!), ...actionsTold(rule!, versioned)];
};

describe('rules of a lifecycle', () => {
  it('are told for whom they are', () => {
    const both =
      '<Filter><And><Prefix>logs/</Prefix><Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>b</Key><Value>2</Value></Tag>' +
      '<ObjectSizeGreaterThan>1048576</ObjectSizeGreaterThan><ObjectSizeLessThan>2097152</ObjectSizeLessThan></And></Filter>';
    expect(told(both)[0]).toBe(
      'Objects under logs/ tagged a=1, b=2 that are larger than 1.0 MiB and smaller than 2.0 MiB',
    );
    expect(told('<Filter/>')[0]).toBe('All objects');
    expect(told('<Prefix>old/</Prefix>')[0]).toBe('Objects under old/');
    expect(told('<Filter><ObjectSizeGreaterThan>0</ObjectSizeGreaterThan></Filter>')[0]).toBe(
      'All objects that are larger than 0 B',
    );
  });
  it('are told by what they do, which depends on whether versions are kept', () => {
    const days = '<Filter/><Expiration><Days>30</Days></Expiration>';
    expect(told(days)[1]).toBe('They are deleted 30 days after they were written.');
    expect(told(days, true)[1]).toBe('They get a delete marker 30 days after they were written; their versions stay.');
    expect(told('<Filter/><Expiration><Date>2027-01-01T00:00:00.000Z</Date></Expiration>')[1]).toBe(
      'They are deleted on 2027-01-01.',
    );
    const marker = '<Filter/><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>';
    expect(told(marker, true).slice(1)).toEqual(['Delete markers that are all that is left of an object are removed.']);
  });
  it('take noncurrent versions and unfinished uploads by their own days', () => {
    const noncurrent =
      '<Filter/><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>3</NewerNoncurrentVersions></NoncurrentVersionExpiration>';
    expect(told(noncurrent, true).slice(1)).toEqual([
      'Versions that are current no more are deleted 1 day later, but for the newest 3.',
    ]);
    const uploads =
      '<Filter/><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>';
    expect(told(uploads).slice(1)).toEqual(['Uploads in parts are given up 7 days after they began.']);
  });
  it('are read one by one, those that are off too', () => {
    const found = rules('<ID>a</ID><Status>Enabled</Status><Filter/>', '<ID>b</ID><Status>Disabled</Status><Filter/>');
    expect(found.map(({ id, enabled }) => [id, enabled])).toEqual([
      ['a', true],
      ['b', false],
    ]);
    expect(readLifecycle('<LifecycleConfiguration/>')).toEqual([]);
  });
});
