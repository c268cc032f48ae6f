/** One question to the person before something is done. Whoever asks it needs no dialog of its own. */
import { Observable } from './observable';

export interface Question {
  title: string;
  what: string;
  /** The word on the button that goes on. */
  action: string;
  onYes: () => void;
  /** The word on the button that does not. */
  no?: string;
}

export const question = new Observable<Question | null>(null);

/** Shows the question; a second one takes the place of the first. */
export function askFirst(asked: Question): void {
  question.set(asked);
}

/** Answers the question that is shown. Nothing when there is none. */
export function answer(yes: boolean): void {
  const asked = question.get();
  question.set(null);
  if (yes) asked?.onYes();
}
