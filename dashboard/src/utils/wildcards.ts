/** Patterns of IAM: `*` is any text, `?` any sign. In time that is linear but for the stars. Pure. */
export function fits(pattern: string, text: string): boolean {
  let [at, from] = [0, 0];
  let [star, mark] = [-1, 0];
  while (at < text.length) {
    if (pattern[from] === '*') {
      [star, mark] = [from, at];
      from += 1;
    } else if (from < pattern.length && (pattern[from] === '?' || pattern[from] === text[at])) {
      from += 1;
      at += 1;
    } else if (star >= 0) {
      mark += 1;
      [from, at] = [star + 1, mark];
    } else return false;
  }
  return [...pattern.slice(from)].every((each) => each === '*');
}
