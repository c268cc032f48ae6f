/** The same question or wish in other tools' words. Tokens are never copied: `$TOKEN` stands for them. */
import { pathSpeaking } from './catalog';
import { collection, place, type Kind, type Resource } from './resources';

export interface Copies {
  /** Where our own CLI has a word for it. */
  aerekos?: string;
  kubectl: string;
  curl: string;
}

const ORIGIN = typeof window === 'undefined' ? 'https://127.0.0.1:7443' : window.location.origin;

function resourceName(kind: Kind): string {
  return kind.group ? `${kind.plural}.${kind.group}` : kind.plural;
}

export function curl(path: string, more = ''): string {
  return `curl --cacert ca.crt -H "Authorization: Bearer $TOKEN" ${more}"${ORIGIN}${path}"`;
}

/** What the curl lines need, after `aerekos login`. */
export const TOKEN_LINE = `TOKEN=$(aerekos credential | sed -n 's/.*"token": *"\\([^"]*\\)".*/\\1/p')`;

export function asList(kind: Kind): Copies {
  const everywhere = kind.namespaced ? ' -A' : '';
  return {
    aerekos: `aerekos get ${resourceName(kind)}${everywhere}`,
    kubectl: `kubectl get ${resourceName(kind)}${everywhere}`,
    curl: curl(collection(kind)),
  };
}

export function asOne(kind: Kind, resource: Resource): Copies {
  const { name, namespace } = resource.metadata;
  const where = kind.namespaced && namespace ? ` -n ${namespace}` : '';
  return {
    aerekos: `aerekos get ${resourceName(kind)} ${name}${where} -o yaml`,
    kubectl: `kubectl get ${resourceName(kind)} ${name}${where} -o yaml`,
    curl: curl(place(kind, name, namespace)),
  };
}

/** What one section of a resource shows, in other words. */
export function asTab(kind: Kind, resource: Resource, tab: string): Copies {
  const { name, namespace = 'default' } = resource.metadata;
  const first = resource.status?.instances?.[0]?.name ?? `${name}-0`;
  switch (tab) {
    case 'logs':
      return {
        aerekos: `aerekos logs -f -n ${namespace} ${name}`,
        kubectl: `kubectl logs -f -n ${namespace} ${first}`,
        curl: curl(`/logs/${namespace}/${name}?follow=true`, '-N '),
      };
    case 'terminal':
      return { kubectl: `kubectl exec -it -n ${namespace} ${first} -- sh`, curl: curl(place(kind, name, namespace)) };
    case 'objects':
      return { kubectl: `aws s3 ls s3://${name}`, curl: curl(`${pathSpeaking('s3')}/${name}?list-type=2`) };
    case 'history':
      return {
        aerekos: asOne(kind, resource).aerekos?.replace(' -o yaml', ' --watch'),
        kubectl: `${asOne(kind, resource).kubectl.replace(' -o yaml', '')} --watch -o yaml`,
        curl: curl(
          `${collection(kind, kind.namespaced ? namespace : undefined)}?watch=true&resourceVersion=1&fieldSelector=metadata.name=${name}`,
          '-N ',
        ),
      };
    default:
      return asOne(kind, resource);
  }
}

export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedByHand(text);
  }
}

/** Where the clipboard API is refused (no focus, an old browser). */
function copiedByHand(text: string): boolean {
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  const worked = document.execCommand('copy');
  area.remove();
  return worked;
}
