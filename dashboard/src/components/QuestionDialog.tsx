import { useObservable } from '../hooks/useObservable';
import { answer, question } from '../utils/questions';
import { Confirm } from './Confirm';

/** The question somebody has to answer first, wherever it was asked. */
export function QuestionDialog() {
  const asked = useObservable(question);
  if (!asked) return null;
  const { title, what, action, no } = asked;
  return (
    <Confirm
      key={title}
      title={title}
      what={what}
      action={action}
      no={no}
      onYes={() => answer(true)}
      // A yes may have led to the next question.
      onClose={() => question.get() === asked && answer(false)}
    />
  );
}
