import { parseXml, type XmlElement, XmlError } from '../../../src/common/index.js';
import type { VcdCloud } from './cloud.js';
import { withoutUnknown } from './body-variants.js';
import { badRequest, operationDenied, VcdFault } from './faults.js';
import type { Hrefs } from './hrefs.js';
import { validateBody } from './schema/validate.js';
import type { Session } from './sessions.js';
import { NAMESPACES } from './xml-names.js';

/** One request, authenticated and negotiated, as a route sees it. */
export interface Exchange {
  cloud: VcdCloud;
  session: Session;
  hrefs: Hrefs;
  apiVersion: number;
  method: string;
  /** Decoded path segments captured by the route, by their names. */
  parameters: Readonly<Record<string, string>>;
  query: URLSearchParams;
  /** Lower case, without parameters; empty when absent. */
  contentType: string;
  body: string;
}

/** What a route answers. An XML element goes out as `media`; no body means no body. */
export interface Answer {
  status: number;
  xml?: XmlElement;
  /** Media type without +xml. */
  media?: string;
  json?: unknown;
  headers?: Readonly<Record<string, string>>;
}

export const ok = (xml: XmlElement, media: string): Answer => ({ status: 200, xml, media });
export const noContent: Answer = { status: 204 };

/** @throws VcdFault 403 unless the session is the system administrator's. */
export function requireProvider(exchange: Exchange): void {
  if (!exchange.session.isProvider) throw operationDenied('System: Administrator');
}

export interface BodyModel {
  element: string;
  namespace?: string;
  /** Content model; default the element's name. */
  type?: string;
  /** Without +xml. */
  media: string;
}

/**
 * The request's body, checked against its content model.
 * @throws VcdFault 415 for a wrong media type, 400 for anything else that is wrong.
 */
export function readBody(exchange: Exchange, model: BodyModel): XmlElement {
  requireMedia(exchange, [model.media]);
  const namespace = model.namespace ?? NAMESPACES.vcloud;
  const root = parseBody(exchange);
  validateBody(root, { local: model.element, namespace, type: model.type ?? model.element });
  return root;
}

export function requireMedia(exchange: Exchange, media: readonly string[]): void {
  // govcd sends its access rights without any Content-Type, and cells take them.
  if (exchange.contentType === '') return;
  const allowed = media.map((name) => `${name}+xml`.toLowerCase());
  if (allowed.includes(exchange.contentType) || exchange.contentType === 'application/*+xml') return;
  throw new VcdFault(
    415,
    'UNSUPPORTED_MEDIA_TYPE',
    `The request has an unsupported Content-Type "${exchange.contentType}". Expected: ${media.map((name) => `${name}+xml`).join(', ')}.`,
  );
}

export function parseBody(exchange: Exchange): XmlElement {
  if (exchange.body.trim() === '') throw badRequest('Bad request\n - Unexpected JAXBException\n - Premature end of file.');
  try {
    const body = parseXml(exchange.body);
    return exchange.cloud.variants.unknownContent === 'added' ? withoutUnknown(body) : body;
  } catch (error) {
    if (error instanceof XmlError) throw badRequest(`Bad request\n - Unexpected JAXBException\n - ${error.message}`);
    throw error;
  }
}
