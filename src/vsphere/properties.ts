import type { XmlElement } from '../common/index.js';
import { faultError, readLocalizedFault, VsphereError, type VimFault } from './errors.js';
import { CLEANUP_TIMEOUT_MS, type VimSession } from './session.js';
import { isTrue, type ManagedObject, referenceOf, soapReference } from './vim-xml.js';

/** Objects in one answer: bounds the memory and the time one page holds the event loop. */
const PAGE_OBJECTS = 100;
/** Objects named in one question. */
const QUESTION_OBJECTS = 500;

/** A PropertyFilterSpec, with what an error shall say. */
export interface PropertyQuestion {
  specSet: Readonly<Record<string, unknown>>;
  doing: string;
  subject?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** Properties of one object, by the path they were asked for. An unset property is absent. */
export class ObjectProperties {
  readonly values = new Map<string, XmlElement>();
  /** Paths the server would not tell, with its reason. */
  readonly missing = new Map<string, VimFault>();

  constructor(readonly object: ManagedObject) {}

  get(path: string): XmlElement | undefined {
    return this.values.get(path);
  }

  text(path: string): string | undefined {
    return this.values.get(path)?.text();
  }

  isTrue(path: string): boolean {
    return isTrue(this.values.get(path));
  }

  reference(path: string): ManagedObject | undefined {
    return referenceOf(this.values.get(path));
  }

  /** An ArrayOfManagedObjectReference. */
  references(path: string): ManagedObject[] {
    const items = this.values.get(path)?.elements() ?? [];
    return items.map(referenceOf).filter((reference) => reference !== undefined);
  }
}

/** Reads properties through the PropertyCollector, page by page. */
export class PropertyReader {
  constructor(private readonly session: VimSession) {}

  /** @throws VsphereError NOT_FOUND; or the fault of a property the server would not tell. */
  async read(
    object: ManagedObject,
    paths: readonly string[],
    doing: string,
    subject?: string,
    signal?: AbortSignal,
  ): Promise<ObjectProperties> {
    const [found] = await this.readAll([object], paths, doing, signal, subject);
    const context = { doing, vcenter: this.session.transport.name, object: object.value, ...(subject === undefined ? {} : { subject }) };
    if (found === undefined) throw faultError({ faultType: 'ManagedObjectNotFound', message: '', invalidProperty: undefined }, context);
    for (const fault of found.missing.values()) throw faultError(fault, context);
    return found;
  }

  /** Objects of one type; those that vanish meanwhile are left out. */
  async readMany(
    objects: readonly ManagedObject[],
    paths: readonly string[],
    doing: string,
    signal?: AbortSignal,
  ): Promise<ObjectProperties[]> {
    const found: ObjectProperties[] = [];
    for (let at = 0; at < objects.length; at += QUESTION_OBJECTS) {
      const part = objects.slice(at, at + QUESTION_OBJECTS);
      found.push(...(await this.readPresent(part, paths, doing, signal)));
    }
    return found;
  }

  private async readPresent(
    objects: readonly ManagedObject[],
    paths: readonly string[],
    doing: string,
    signal?: AbortSignal,
  ): Promise<ObjectProperties[]> {
    try {
      return await this.readAll(objects, paths, doing, signal);
    } catch (error) {
      // One vanished object fails the whole question, and the fault need not say which: halve it.
      if (!(error instanceof VsphereError && error.code === 'NOT_FOUND')) throw error;
      if (objects.length === 1) return [];
      const middle = Math.ceil(objects.length / 2);
      const first = await this.readPresent(objects.slice(0, middle), paths, doing, signal);
      return [...first, ...(await this.readPresent(objects.slice(middle), paths, doing, signal))];
    }
  }

  private async readAll(
    objects: readonly ManagedObject[],
    paths: readonly string[],
    doing: string,
    signal?: AbortSignal,
    subject?: string,
  ): Promise<ObjectProperties[]> {
    if (objects.length === 0) return [];
    const types = [...new Set(objects.map((object) => object.type))];
    const specSet = {
      propSet: types.map((type) => ({ type, all: false, pathSet: [...paths] })),
      objectSet: objects.map((object) => ({ obj: soapReference(object), skip: false })),
    };
    const question = { specSet, doing, subject, signal };
    const { generation } = this.session;
    try {
      return await this.allPages(question);
    } catch (error) {
      if (signal?.aborted || !this.isWorthAsking(error, generation)) throw error;
      return await this.allPages(question);
    }
  }

  private async allPages(question: PropertyQuestion): Promise<ObjectProperties[]> {
    const found: ObjectProperties[] = [];
    for await (const page of this.pages(question)) found.push(...page);
    return found;
  }

  /**
   * The answer to one question in pages of at most 100 objects; the next one is asked for when the last one was taken,
   * so that never more than one is held. A caller that stops early, and a failure, end the retrieval in vCenter too.
   */
  async *pages({ specSet, ...call }: PropertyQuestion): AsyncGenerator<ObjectProperties[], void, undefined> {
    const collector = this.session.content.propertyCollector;
    const { generation } = this.session;
    let token: string | undefined;
    try {
      const args = { specSet, options: { maxObjects: PAGE_OBJECTS } };
      const asked = { ...call, faultIn: sessionEndedIn };
      let answer = await this.session.call('RetrievePropertiesEx', collector, args, { ...asked, idempotent: true });
      for (;;) {
        const result = answer.child('returnval');
        token = result?.textAt('token') || undefined;
        yield (result?.childrenNamed('objects') ?? []).map(readObject);
        if (token === undefined) return;
        // Not repeated when the connection breaks: the token may be spent.
        answer = await this.session.call('ContinueRetrievePropertiesEx', collector, { token }, asked);
      }
    } finally {
      // A token that another session gave is gone with it.
      if (token !== undefined && this.session.generation === generation) await this.abandon(token);
    }
  }

  /** A page token dies with its session, and with the answer that was lost: then the question is asked anew. */
  isWorthAsking(error: unknown, generation: number): boolean {
    if (!(error instanceof VsphereError) || error.code === 'NOT_FOUND') return false;
    return this.session.generation !== generation || error.code === 'CONNECTION_LOST';
  }

  private async abandon(token: string): Promise<void> {
    const call = { doing: 'the end of a retrieval', timeoutMs: CLEANUP_TIMEOUT_MS };
    // vCenter drops what was not fetched with the session; nothing more can be done about it here.
    await this.session.call('CancelRetrievePropertiesEx', this.session.content.propertyCollector, { token }, call).catch(() => undefined);
  }
}

/**
 * The collector's methods need no more than System.Anonymous (vSphere API reference): to a session that has ended vCenter refuses
 * not the question but each property, with NotAuthenticated. Read as properties that are unset, they would make a VM without a
 * name, or a datastore without room.
 */
export function sessionEndedIn(answer: XmlElement): VimFault | undefined {
  const result = answer.child('returnval');
  const updated = result?.childrenNamed('filterSet').flatMap((filter) => filter.childrenNamed('objectSet')) ?? [];
  const missing = [...(result?.childrenNamed('objects') ?? []), ...updated].flatMap((content) => content.childrenNamed('missingSet'));
  const faults = missing.flatMap((each) => each.child('fault') ?? []).map(readLocalizedFault);
  return faults.find(({ faultType }) => faultType === 'NotAuthenticated');
}

function readObject(content: XmlElement): ObjectProperties {
  const properties = new ObjectProperties(referenceOf(content.child('obj')) ?? { type: '', value: '' });
  for (const property of content.childrenNamed('propSet')) {
    const value = property.child('val');
    if (value) properties.values.set(property.textAt('name') ?? '', value);
  }
  for (const missing of content.childrenNamed('missingSet')) {
    const fault = missing.child('fault');
    if (fault) properties.missing.set(missing.textAt('path') ?? '', readLocalizedFault(fault));
  }
  return properties;
}
