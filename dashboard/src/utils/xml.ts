/** The answers of S3, which are XML. */

export function parsed(xml: string): Document {
  return new DOMParser().parseFromString(xml, 'application/xml');
}

export function elementsIn(parent: Element | Document, name: string): Element[] {
  return [...parent.getElementsByTagName(name)];
}

/** Of the first element of that name; empty where there is none. */
export function textIn(parent: Element | Document, name: string): string {
  return parent.getElementsByTagName(name)[0]?.textContent ?? '';
}
