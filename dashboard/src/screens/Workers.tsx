export function Workers(_props: any) { return null; }
