export function ResourceList(_props: any) { return null; }
