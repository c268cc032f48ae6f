/** A value as a text: a text as it is, anything else as JSON. Pure. */
export function plainText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
