export function Settings(_props: any) { return null; }
