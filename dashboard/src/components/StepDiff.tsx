import { diffLines, hunks } from '../utils/diff';
import type { Resource } from '../utils/resources';
import { toYaml } from '../utils/yaml';
import { Diff } from './Diff';

interface Props {
  before: Resource | undefined;
  after: Resource | undefined;
  label: string;
  /** All lines, not only those near a difference. */
  whole?: boolean;
}

/** Two versions of a manifest. Loaded when somebody looks: the YAML library is large. */
export function StepDiff({ before, after, label, whole = false }: Props) {
  const lines = diffLines(written(before), written(after)).filter((line) => line.text || line.sign === ' ');
  return <Diff lines={whole ? lines : hunks(lines)} none="Nothing that people wish differs." label={label} />;
}

function written(resource: Resource | undefined): string {
  return resource ? toYaml(resource).trimEnd() : '';
}
