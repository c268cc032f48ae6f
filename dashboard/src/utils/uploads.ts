/** Files on their way into buckets. They go on while people look at other screens; leaving the tab asks first. */
import type { NamedFile } from './droppedFiles';
import { inWords } from './errors';
import { hold } from './leaving';
import { Observable } from './observable';
import { LARGE, uploadParts } from './multipart';
import { upload } from './s3';
import { say } from './toasts';

export interface Upload {
  id: number;
  bucket: string;
  key: string;
  /** From 0 to 1. */
  share: number;
}

export const uploads = new Observable<readonly Upload[]>([]);
let next = 1;

/** So many are told of one by one. */
const TOLD_ALONE = 3;

/** One after the other, in the order given; ends when all have ended. Says of each how, or how many are stored. */
export async function send(bucket: string, prefix: string, files: readonly NamedFile[]): Promise<void> {
  const waiting = files.map(({ path, file }) => ({ file, id: next++, bucket, key: prefix + path, share: 0 }));
  const release = hold({
    title: 'Leave during an upload?',
    what: 'An upload ends with its tab, and with your session. A large file goes on where it stopped once you choose it again; small ones begin anew.',
    scope: 'tab',
  });
  uploads.set([...uploads.get(), ...waiting.map(({ file: _file, ...rest }) => rest)]);
  try {
    let stored = 0;
    for (const each of waiting) stored += (await one(each, files.length <= TOLD_ALONE)) ? 1 : 0;
    if (files.length > TOLD_ALONE && stored > 0) say('well', `${stored} of ${files.length} files are stored`);
  } finally {
    release();
  }
}

async function one({ file, id, bucket, key }: Upload & { file: File }, alone: boolean): Promise<boolean> {
  const told = (share: number) =>
    uploads.set(uploads.get().map((each) => (each.id === id ? { ...each, share } : each)));
  try {
    await (file.size >= LARGE ? uploadParts : upload)(bucket, key, file, told);
    if (alone) say('well', `${file.name} is stored`);
    return true;
  } catch (error) {
    say('bad', `${file.name} is not stored: ${inWords(error).what}`, inWords(error).next);
    return false;
  } finally {
    uploads.set(uploads.get().filter((each) => each.id !== id));
  }
}
