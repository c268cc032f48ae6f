/** Files on their way into buckets. They go on while people look at other screens; leaving the tab asks first. */
import { inWords } from './errors';
import { hold } from './leaving';
import { Observable } from './observable';
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

/** One after the other, in the order given; ends when all have ended, and says of each how. */
export async function send(bucket: string, prefix: string, files: readonly File[]): Promise<void> {
  const waiting = files.map((file) => ({ file, id: next++, bucket, key: prefix + file.name, share: 0 }));
  const release = hold({
    title: 'Leave during an upload?',
    what: 'What has not arrived yet is lost: an upload ends with its tab, and with your session.',
    scope: 'tab',
  });
  uploads.set([...uploads.get(), ...waiting.map(({ file: _file, ...rest }) => rest)]);
  try {
    for (const each of waiting) await one(each);
  } finally {
    release();
  }
}

async function one({ file, id, bucket, key }: Upload & { file: File }): Promise<void> {
  const told = (share: number) =>
    uploads.set(uploads.get().map((each) => (each.id === id ? { ...each, share } : each)));
  try {
    await upload(bucket, key, file, told);
    say('well', `${file.name} is stored`);
  } catch (error) {
    say('bad', `${file.name} is not stored: ${inWords(error).what}`, inWords(error).next);
  } finally {
    uploads.set(uploads.get().filter((each) => each.id !== id));
  }
}
