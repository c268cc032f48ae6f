import { expect, test } from 'vitest';

import { chosen, dropped } from './droppedFiles';

const file = (name: string) => new File([name], name);

function fileEntry(fullPath: string): FileSystemEntry {
  const name = fullPath.split('/').pop() ?? '';
  return { isFile: true, fullPath, file: (done: (found: File) => void) => done(file(name)) } as never;
}

/** As browsers do: some at a time, then none. */
function folderEntry(fullPath: string, entries: FileSystemEntry[]): FileSystemEntry {
  const left = [...entries];
  const readEntries = (done: (some: FileSystemEntry[]) => void) => done(left.splice(0, 2));
  return { isFile: false, fullPath, createReader: () => ({ readEntries }) } as never;
}

const item = (entry: FileSystemEntry | null): DataTransferItem => ({ webkitGetAsEntry: () => entry }) as never;

test('a chosen folder keeps its paths, a file its name', () => {
  const inside = file('a.txt');
  Object.defineProperty(inside, 'webkitRelativePath', { value: 'album/2026/a.txt' });
  expect(chosen([inside, file('b.txt')]).map((each) => each.path)).toEqual(['album/2026/a.txt', 'b.txt']);
});

test('a dropped folder is read whole, however many are told at a time', async () => {
  const many = Array.from({ length: 5 }, (_, number) => fileEntry(`/album/2026/${number}.txt`));
  const album = folderEntry('/album', [folderEntry('/album/2026', many), fileEntry('/album/cover.txt')]);
  const found = await dropped([item(album), item(fileEntry('/b.txt')), item(null)]);
  expect(found.map((each) => each.path)).toEqual([
    ...many.map((_, number) => `album/2026/${number}.txt`),
    'album/cover.txt',
    'b.txt',
  ]);
});

test('a folder that cannot be read is told', async () => {
  const readEntries = (_: unknown, failed: (why: Error) => void) => failed(new Error('not allowed'));
  const locked = { isFile: false, fullPath: '/x', createReader: () => ({ readEntries }) } as never;
  await expect(dropped([item(locked)])).rejects.toThrow('not allowed');
});
