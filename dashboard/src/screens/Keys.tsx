export function Keys(_props: any) { return null; }
