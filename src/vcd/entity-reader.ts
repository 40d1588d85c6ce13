import type { XmlElement } from '../common/index.js';
import type { VcdContext } from './context.js';
import { badAnswer, VcdError } from './error.js';
import { linkHref, referenceOf, under } from './links.js';
import { MEDIA } from './namespaces.js';
import { metadataOf } from './sections.js';
import type { MetadataEntry, VcdReference } from './types.js';

/** What a capture is of, for errors. */
export interface CaptureSubject {
  /** `vApp "shop"` */
  subject: string;
  /** The path all of its own resources have: an answer of "gone" there means the captured object itself. */
  ownPath: '/vApp/' | '/vAppTemplate/' | '/media/' | '/disk/';
  goneCode: string;
}

/** Reads the parts of one entity and keeps each answer as it came. */
export class EntityReader {
  readonly raw: Record<string, string> = {};

  constructor(
    readonly context: VcdContext,
    readonly of: CaptureSubject,
    readonly signal: AbortSignal | undefined,
  ) {}

  keep(href: string, text: string): void {
    this.raw[new URL(href, 'https://vcd').pathname] = text;
  }

  /** @param options.keepRaw false for an answer of which one value is wanted and whose size grows with other people's objects */
  async read(href: string, part: string, options: { keepRaw?: boolean } = {}): Promise<XmlElement> {
    const { subject, ownPath, goneCode: code } = this.of;
    const operation = `Reading ${part} of ${subject}`;
    try {
      const answer = await this.context.http.get(href, operation, this.signal, subject);
      if (options.keepRaw !== false) this.keep(href, answer.text);
      return answer.root();
    } catch (error) {
      // Deleted between two of our requests: for the caller it is as gone as if it had been before.
      if (!(error instanceof VcdError && error.saysGone && href.includes(ownPath))) throw error;
      const { httpStatus, minorErrorCode, requestId } = error;
      throw new VcdError(`${subject} went away while it was read.`, { code, subject, operation, httpStatus, minorErrorCode, requestId });
    }
  }

  /** Undefined where this release has no such resource, this login may not see it, or it is gone. */
  async readOptional(href: string, part: string, options: { keepRaw?: boolean } = {}): Promise<XmlElement | undefined> {
    try {
      return await this.read(href, part, options);
    } catch (error) {
      if (error instanceof VcdError && error.httpStatus !== undefined && [403, 404, 405].includes(error.httpStatus)) return undefined;
      throw error;
    }
  }

  async metadata(entity: XmlElement, href: string, what = 'the metadata'): Promise<MetadataEntry[]> {
    return metadataOf(await this.read(linkHref(entity, 'down', MEDIA.metadata) ?? under(href, 'metadata'), what));
  }

  /** Inside the entity where VCD shows it there, else from its own resource. */
  async owner(entity: XmlElement, href: string): Promise<VcdReference | undefined> {
    const inline = referenceOf(entity.find('Owner', 'User'));
    if (inline !== undefined) return inline;
    const owner = await this.readOptional(linkHref(entity, 'down', MEDIA.owner) ?? under(href, 'owner'), 'the owner');
    return referenceOf(owner?.child('User'));
  }

  /** @throws VcdError BAD_ANSWER */
  fail(part: string, reason: string): never {
    throw badAnswer(`Reading ${part} of ${this.of.subject}`, reason);
  }
}
