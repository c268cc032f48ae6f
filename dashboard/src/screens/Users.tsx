export function Users(_props: any) { return null; }
