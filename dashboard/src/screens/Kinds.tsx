export function Kinds(_props: any) { return null; }
