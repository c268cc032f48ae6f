/** Two texts, line by line: the longest common subsequence. Texts here are short manifests. */

export interface Line {
  sign: ' ' | '+' | '-';
  text: string;
}

export function diffLines(before: string, after: string): Line[] {
  const a = before.split('\n');
  const b = after.split('\n');
  const best = table(a, b);
  const lines: Line[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push({ sign: ' ', text: a[i]! });
      i += 1;
      j += 1;
    } else if (i < a.length && (j === b.length || best[i + 1]![j]! >= best[i]![j + 1]!)) {
      lines.push({ sign: '-', text: a[i++]! });
    } else {
      lines.push({ sign: '+', text: b[j++]! });
    }
  }
  return lines;
}

function table(a: string[], b: string[]): number[][] {
  const best = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      best[i]![j] = a[i] === b[j] ? best[i + 1]![j + 1]! + 1 : Math.max(best[i + 1]![j]!, best[i]![j + 1]!);
    }
  }
  return best;
}

/** Only the lines that differ, each with `around` lines on both sides. */
export function hunks(lines: readonly Line[], around = 2): Line[] {
  const near = (index: number) =>
    lines.slice(Math.max(0, index - around), index + around + 1).some((each) => each.sign !== ' ');
  return lines.filter((_, index) => near(index));
}
