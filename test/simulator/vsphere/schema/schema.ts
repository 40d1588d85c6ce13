import { DATA_TYPES } from './data-types.js';
import { DEVICE_TYPES } from './device-types.js';
import { FAULT_TYPES } from './fault-types.js';
import { ENUMERATIONS, MANAGED_TYPES, OPERATIONS } from './managed-types.js';

export interface Field {
  name: string;
  type: FieldType;
  optional: boolean;
}

export interface FieldType {
  /** A primitive, an enumeration, a data type, `any`, or (with `reference`) a managed type ('' for any). */
  name: string;
  reference: boolean;
  array: boolean;
}

interface TypeDefinition {
  name: string;
  parent: string | undefined;
  fields: Field[];
}

export interface Operation {
  name: string;
  owner: string;
  parameters: Field[];
  result: FieldType;
}

export const PRIMITIVES: ReadonlySet<string> = new Set([
  'string',
  'int',
  'long',
  'short',
  'byte',
  'boolean',
  'double',
  'float',
  'dateTime',
  'base64',
]);

function parseType(text: string): FieldType {
  const array = text.endsWith('[]');
  const bare = array ? text.slice(0, -2) : text;
  return bare.startsWith('&') ? { name: bare.slice(1), reference: true, array } : { name: bare, reference: false, array };
}

function parseField(text: string): Field {
  const colon = text.indexOf(':');
  const optional = text.endsWith('?');
  return { name: text.slice(0, colon), type: parseType(text.slice(colon + 1, optional ? -1 : undefined)), optional };
}

function parseTypes(...tables: string[]): Map<string, TypeDefinition> {
  const types = new Map<string, TypeDefinition>();
  for (const line of tables.join('\n').split('\n')) {
    if (line === '') continue;
    const [head = '', ...fields] = line.split(' ').filter((word) => word !== '');
    const [name = '', parent] = head.split('<');
    types.set(name, { name, parent, fields: fields.map(parseField) });
  }
  return types;
}

function parseOperations(): Map<string, Operation> {
  const operations = new Map<string, Operation>();
  for (const line of OPERATIONS.split('\n')) {
    const match = /^(\w+)\.(\w+)\((.*)\):(.+)$/.exec(line);
    if (!match) continue;
    const [, owner = '', name = '', parameters = '', result = ''] = match;
    const words = parameters.split(' ').filter((word) => word !== '');
    operations.set(name, { name, owner, parameters: words.map(parseField), result: parseType(result.replace(/\?$/, '')) });
  }
  return operations;
}

const dataTypes = parseTypes(DATA_TYPES, DEVICE_TYPES, FAULT_TYPES);
const managedTypes = parseTypes(MANAGED_TYPES);
const operations = parseOperations();
const enumerations = new Map(
  ENUMERATIONS.split('\n')
    .filter((line) => line !== '')
    .map((line): [string, ReadonlySet<string>] => {
      const [name = '', words = ''] = line.split('=');
      return [name, new Set(words.split('|'))];
    }),
);

function fieldsIn(types: ReadonlyMap<string, TypeDefinition>, cache: Map<string, Field[]>, name: string): Field[] | undefined {
  const known = cache.get(name);
  if (known) return known;
  const definition = types.get(name);
  if (!definition) return undefined;
  const inherited = definition.parent === undefined ? [] : (fieldsIn(types, cache, definition.parent) ?? []);
  const fields = [...inherited, ...definition.fields];
  cache.set(name, fields);
  return fields;
}

function isKindOf(types: ReadonlyMap<string, TypeDefinition>, name: string, ancestor: string): boolean {
  for (let current: string | undefined = name; current !== undefined; current = types.get(current)?.parent) {
    if (current === ancestor) return true;
  }
  return false;
}

const dataFieldCache = new Map<string, Field[]>();
const managedFieldCache = new Map<string, Field[]>();

export const schema = {
  /** In wire order, inherited ones first; undefined for an unknown data type. */
  fields: (typeName: string): readonly Field[] | undefined => fieldsIn(dataTypes, dataFieldCache, typeName),
  field: (typeName: string, name: string): Field | undefined =>
    fieldsIn(dataTypes, dataFieldCache, typeName)?.find((field) => field.name === name),
  isDataType: (name: string): boolean => dataTypes.has(name),
  isData: (name: string, ancestor: string): boolean => ancestor === 'DynamicData' || isKindOf(dataTypes, name, ancestor),
  words: (name: string): ReadonlySet<string> | undefined => enumerations.get(name),
  isManagedType: (name: string): boolean => managedTypes.has(name),
  isManaged: (name: string, ancestor: string): boolean =>
    ancestor === '' || ancestor === 'ManagedObject' || isKindOf(managedTypes, name, ancestor),
  properties: (managedType: string): readonly Field[] => fieldsIn(managedTypes, managedFieldCache, managedType) ?? [],
  operation: (name: string): Operation | undefined => operations.get(name),
};
