import { VcdFault } from './faults.js';
import { API_VERSIONS } from './views/session-view.js';

export interface Negotiated {
  /** As in the Accept header: "37.0". */
  version: string;
  number: number;
}

/** What will be written; `any` where nothing is (a logout). */
export type Form = 'xml' | 'json' | 'any';

/**
 * What the Accept header asks for. The version is a parameter of the media range; a cell answers
 * 406 without one, with one it does not speak, and for forms it does not write.
 * @throws VcdFault 406 NOT_ACCEPTABLE listing the versions.
 */
export function negotiate(accept: string | undefined, form: Form, versions: readonly string[] = API_VERSIONS): Negotiated {
  for (const range of (accept ?? '').split(',')) {
    const [media = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const version = parameters.find((parameter) => parameter.startsWith('version='))?.slice('version='.length);
    if (version === undefined || !versions.includes(version)) continue;
    if (!writes(media, form)) continue;
    return { version, number: Number(version) };
  }
  throw new VcdFault(406, 'NOT_ACCEPTABLE', `The request has invalid accept header. Supported API versions are: [${versions.join(', ')}].`);
}

function writes(media: string, form: Form): boolean {
  if (form === 'any') return writes(media, 'xml') || writes(media, 'json');
  if (media === 'application/*' || media === '*/*') return true;
  if (form === 'json') return media === 'application/json' || media === 'application/*+json';
  return media === 'application/*+xml' || media === 'application/xml' || /^application\/vnd\.vmware\.[\w.*-]+\+xml$/.test(media);
}
