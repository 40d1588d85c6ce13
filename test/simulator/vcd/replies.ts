import type { IncomingMessage } from 'node:http';
import { MIB, type XmlElement, writeXml } from '../../../src/common/index.js';
import { prefixesOf, variedBody } from './body-variants.js';
import type { Variants } from './variants.js';

/** What goes out: status, headers and the whole body as text. */
export interface Reply {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** Content-Type as cells write it: lower case, with the version. */
export function xmlReply(
  status: number,
  xml: XmlElement,
  media: string | undefined,
  version: string | undefined,
  headers: Record<string, string>,
  variants: Variants,
): Reply {
  const type = media === undefined ? 'text/xml' : `${media}+xml`.toLowerCase();
  return {
    status,
    headers: { 'Content-Type': version === undefined ? type : `${type};version=${version}`, ...headers },
    body: writeXml(variedBody(xml, variants), { prefixes: prefixesOf(variants) }),
  };
}

export function jsonReply(status: number, value: unknown, version?: string, headers: Record<string, string> = {}): Reply {
  return {
    status,
    headers: { 'Content-Type': version === undefined ? 'application/json' : `application/json;version=${version}`, ...headers },
    body: JSON.stringify(value),
  };
}

export const MAX_BODY_BYTES = 10 * MIB;
/** A larger body is read to its end, so that the client gets its answer; a stream without end is cut off. */
const MAX_DISCARDED_BYTES = 256 * MIB;

/** Undefined when it is larger than any vCloud document. */
export async function readText(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > MAX_DISCARDED_BYTES) throw new Error('a request body does not end');
    if (length > MAX_BODY_BYTES) parts.length = 0;
    else parts.push(part);
  }
  if (length > MAX_BODY_BYTES) return undefined;
  return Buffer.concat(parts).toString('utf8');
}

/** Lower case, without parameters; empty when absent. */
export function contentTypeOf(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

export function flatHeaders(request: IncomingMessage): Record<string, string> {
  return Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
}
