export function Buckets(_props: any) { return null; }
