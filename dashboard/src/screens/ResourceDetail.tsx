export function ResourceDetail(_props: any) { return null; }
