/** The certificate that proves this cloud to other tools. */
import { raw } from './api';
import { inWords } from './errors';
import { saveAs } from './saving';
import { say } from './toasts';

/** As the file `ca.crt`, which the copied lines name. This page is of the cloud itself: nothing is taken on trust. */
export async function downloadCa(): Promise<void> {
  try {
    saveAs(await (await raw('/auth/ca.pem')).blob(), 'ca.crt');
  } catch (error) {
    say('bad', `Not downloaded: ${inWords(error).what}`, inWords(error).next);
  }
}
