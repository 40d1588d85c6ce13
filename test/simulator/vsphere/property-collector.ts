import { sleep } from '../../../src/common/index.js';
import {
  isMoRef,
  isObject,
  listAt,
  moRef,
  numberAt,
  referenceAt,
  stringAt,
  vim,
  type MoRef,
  type VimObject,
  type VimValue,
} from '../model/vim.js';
import { SimFault } from '../model/vsphere-types.js';
import { encodeTyped } from './codec.js';
import { schema, type FieldType } from './schema/schema.js';

/** How the collector sees the inventory. */
export interface PropertySource {
  /** @throws SimFault ManagedObjectNotFound. Undefined is an unset property. */
  property(object: MoRef, name: string): VimValue;
  assertExists(object: MoRef): void;
  /** Names of the properties this vCenter can tell of a type. */
  served(type: string): readonly string[];
  /** Resolves at the next change, or rejects with the signal. */
  nextChange(signal: AbortSignal): Promise<void>;
}

interface Selected {
  object: MoRef;
  paths: Map<string, { value: VimValue; type: FieldType }>;
}

interface Filter {
  reference: MoRef;
  spec: VimObject;
  /** What was reported last: object -> path -> encoded value. */
  reported: Map<string, { object: MoRef; values: Map<string, string> }>;
}

const DEFAULT_WAIT_SECONDS = 600;
const COALESCE_MS = 10;

/** One PropertyCollector: retrieve with traversal and pages, filters, and waiting for updates. */
export class PropertyCollector {
  private readonly pages = new Map<string, string[]>();
  private readonly filters = new Map<string, Filter>();
  private version = 0;
  private nextToken = 1;
  private cancelWait = new AbortController();

  constructor(private readonly source: PropertySource) {}

  /** The inside of RetrieveResult. */
  retrieve(specSet: readonly VimObject[], maxObjects: number | undefined): string {
    const contents = specSet.flatMap((spec) => this.select(spec)).map((selected) => encodeContent(selected));
    return this.page(contents, maxObjects);
  }

  /** The inside of ArrayOfObjectContent, for the old RetrieveProperties. */
  retrieveAll(specSet: readonly VimObject[]): string[] {
    return specSet.flatMap((spec) => this.select(spec)).map((selected) => encodeContent(selected));
  }

  continue(token: string): string {
    const rest = this.pages.get(token);
    if (!rest) throw new SimFault('InvalidProperty', 'The token is not one of this collector.', { name: 'token' });
    this.pages.delete(token);
    return this.page(rest, this.pageSizes.get(token));
  }

  cancelRetrieve(token: string): void {
    if (!this.pages.delete(token)) throw new SimFault('InvalidProperty', 'The token is not one of this collector.', { name: 'token' });
  }

  private readonly pageSizes = new Map<string, number | undefined>();

  private page(contents: readonly string[], maxObjects: number | undefined): string {
    const size = maxObjects === undefined || maxObjects <= 0 ? contents.length : maxObjects;
    const objects = contents.slice(0, size).map((content) => `<objects>${content}</objects>`);
    if (contents.length <= size) return objects.join('');
    const token = String(this.nextToken);
    this.nextToken += 1;
    this.pages.set(token, contents.slice(size));
    this.pageSizes.set(token, maxObjects);
    return `<token>${token}</token>${objects.join('')}`;
  }

  addFilter(reference: MoRef, spec: VimObject): void {
    this.select(spec); // a bad specification fails here, not at the first wait
    this.filters.set(reference.value, { reference, spec, reported: new Map() });
  }

  removeFilter(value: string): boolean {
    return this.filters.delete(value);
  }

  get filterReferences(): MoRef[] {
    return [...this.filters.values()].map((filter) => filter.reference);
  }

  cancelWaiting(): void {
    this.cancelWait.abort(new SimFault('RequestCanceled', 'The wait was cancelled.'));
    this.cancelWait = new AbortController();
  }

  /** The inside of UpdateSet; undefined when nothing changed in time. */
  async waitForUpdates(version: string, options: VimObject | undefined, signal: AbortSignal): Promise<string | undefined> {
    if (version !== '' && version !== String(this.version))
      throw new SimFault('InvalidCollectorVersion', 'The version is not one this collector gave.');
    if (version === '') for (const filter of this.filters.values()) filter.reported.clear();
    const waitSeconds = numberAt(options, 'maxWaitSeconds') ?? DEFAULT_WAIT_SECONDS;
    const deadline = AbortSignal.timeout(Math.max(1, waitSeconds * 1000));
    const either = AbortSignal.any([signal, this.cancelWait.signal, deadline]);
    for (;;) {
      const change = this.source.nextChange(either);
      change.catch(() => undefined);
      const updates = [...this.filters.values()].map((filter) => this.filterUpdate(filter)).filter((update) => update !== '');
      if (updates.length > 0) {
        this.version += 1;
        return `<version>${this.version}</version>${updates.map((update) => `<filterSet>${update}</filterSet>`).join('')}`;
      }
      if (waitSeconds === 0) return undefined;
      try {
        await change;
        await sleep(COALESCE_MS, either);
      } catch (error) {
        if (deadline.aborted && !signal.aborted) return undefined;
        throw error;
      }
    }
  }

  private filterUpdate(filter: Filter): string {
    const objects: string[] = [];
    const seen = new Set<string>();
    for (const selected of this.select(filter.spec, true)) {
      const key = `${selected.object.type}:${selected.object.value}`;
      seen.add(key);
      const values = new Map([...selected.paths].map(([path, { value, type }]) => [path, encodeTyped('val', value, type)]));
      const before = filter.reported.get(key)?.values;
      const changes = [...values].filter(([path, text]) => before?.get(path) !== text).map(([path, text]) => changeOf(path, text));
      for (const path of before?.keys() ?? []) if (!values.has(path)) changes.push(changeOf(path, ''));
      filter.reported.set(key, { object: selected.object, values });
      if (!before || changes.length > 0)
        objects.push(`<objectSet><kind>${before ? 'modify' : 'enter'}</kind>${objectOf(selected.object)}${changes.join('')}</objectSet>`);
    }
    for (const [key, { object }] of [...filter.reported]) {
      if (seen.has(key)) continue;
      filter.reported.delete(key);
      objects.push(`<objectSet><kind>leave</kind>${objectOf(object)}</objectSet>`);
    }
    return objects.length === 0 ? '' : `<filter type="PropertyFilter">${filter.reference.value}</filter>${objects.join('')}`;
  }

  /** Objects and their properties. @param lenient objects that have gone are left out instead of failing all. */
  private select(spec: VimObject, lenient = false): Selected[] {
    const objects = new Map<string, MoRef>();
    for (const objectSpec of listAt(spec, 'objectSet')) this.collect(objectSpec, objects, lenient);
    const selected: Selected[] = [];
    for (const object of objects.values()) {
      const wanted = listAt(spec, 'propSet').filter((set) => schema.isManaged(object.type, stringAt(set, 'type') ?? ''));
      if (wanted.length === 0) continue;
      const paths: Selected['paths'] = new Map();
      try {
        for (const set of wanted) this.readPaths(object, set, paths);
      } catch (error) {
        if (lenient && error instanceof SimFault && error.faultType === 'ManagedObjectNotFound') continue;
        throw error;
      }
      selected.push({ object, paths });
    }
    return selected;
  }

  private readPaths(object: MoRef, set: VimObject, paths: Selected['paths']): void {
    const names = set.all === true ? this.source.served(object.type) : ((set.pathSet as string[] | undefined) ?? []);
    for (const path of names) {
      const found = resolvePath(this.source, object, path);
      if (found.value !== undefined) paths.set(path, found as { value: VimValue; type: FieldType });
    }
  }

  private collect(objectSpec: VimObject, objects: Map<string, MoRef>, lenient: boolean): void {
    const named = new Map<string, VimObject>();
    const register = (selections: readonly VimObject[]): void => {
      for (const selection of selections) {
        const name = stringAt(selection, 'name');
        if (selection.$type !== 'TraversalSpec') continue;
        if (name !== undefined) named.set(name, selection);
        register(listAt(selection, 'selectSet'));
      }
    };
    register(listAt(objectSpec, 'selectSet'));
    const visited = new Set<string>();
    const visit = (object: MoRef, selections: readonly VimObject[], skip: boolean): void => {
      if (!skip) objects.set(`${object.type}:${object.value}`, object);
      for (const selection of selections) {
        const traversal = selection.$type === 'TraversalSpec' ? selection : named.get(stringAt(selection, 'name') ?? '');
        if (!traversal)
          throw new SimFault('InvalidArgument', `There is no TraversalSpec named "${stringAt(selection, 'name')}".`, {
            invalidProperty: 'selectSet.name',
          });
        if (!schema.isManaged(object.type, traversal.type as string)) continue;
        const step = `${object.value}/${String(traversal.path)}/${stringAt(traversal, 'name') ?? ''}`;
        if (visited.has(step)) continue;
        visited.add(step);
        const { value } = resolvePath(this.source, object, traversal.path as string);
        const targets = (Array.isArray(value) ? value : [value]).filter(isMoRef);
        for (const target of targets) visit(target, listAt(traversal, 'selectSet'), traversal.skip === true);
      }
    };
    const start = moRef((objectSpec.obj as MoRef).type, referenceAt(objectSpec, 'obj') as string);
    try {
      this.source.assertExists(start);
    } catch (error) {
      if (lenient) return;
      throw error;
    }
    visit(start, listAt(objectSpec, 'selectSet'), objectSpec.skip === true);
  }
}

/** "config.hardware.device" one name after the other; each must exist in its type. @throws SimFault InvalidProperty. */
export function resolvePath(source: PropertySource, object: MoRef, path: string): { value: VimValue; type: FieldType } {
  const [first = '', ...rest] = path.split('.');
  const field = schema.properties(object.type).find((property) => property.name === first);
  if (!field) throw new SimFault('InvalidProperty', `The property "${path}" does not exist in ${object.type}.`, { name: path });
  let value = source.property(object, first);
  let { type } = field;
  for (const name of rest) {
    const holder = isObject(value) ? value.$type : type.name;
    const next = schema.field(holder, name) ?? (value === undefined && !schema.isDataType(holder) ? { type } : undefined);
    if (!next || type.array)
      throw new SimFault('InvalidProperty', `The property "${path}" does not exist in ${object.type}.`, { name: path });
    value = isObject(value) ? value[name] : undefined;
    type = next.type;
  }
  return { value, type };
}

/** ObjectContents for who is not logged in: the objects that were named, and of each property that it cannot be told. */
export function untold(specSet: readonly VimObject[]): string[] {
  return specSet.flatMap((spec) =>
    listAt(spec, 'objectSet').flatMap(({ obj }) => {
      if (!isMoRef(obj)) return [];
      const paths = listAt(spec, 'propSet').flatMap((set) => (set.pathSet as string[] | undefined) ?? []);
      const missing = paths.map((path) => {
        const fault = { fault: vim('NotAuthenticated', { object: obj, privilegeId: 'System.Read' }), localizedMessage: '' };
        const type = { name: 'LocalizedMethodFault', reference: false, array: false };
        return `<missingSet><path>${path}</path>${encodeTyped('fault', vim('LocalizedMethodFault', fault), type)}</missingSet>`;
      });
      return [`${objectOf(obj)}${missing.join('')}`];
    }),
  );
}

const escapeText = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;');
const objectOf = (object: MoRef): string => `<obj type="${object.type}">${escapeText(object.value)}</obj>`;
const changeOf = (path: string, encoded: string): string =>
  `<changeSet><name>${path}</name><op>${encoded === '' ? 'remove' : 'assign'}</op>${encoded}</changeSet>`;

function encodeContent({ object, paths }: Selected): string {
  const properties = [...paths].map(
    ([path, { value, type }]) => `<propSet><name>${path}</name>${encodeTyped('val', value, type)}</propSet>`,
  );
  return `${objectOf(object)}${properties.join('')}`;
}
