import type { XmlElement } from '../../../src/common/index.js';
import { isMoRef, moRef, type VimObject, type VimValue } from '../model/vim.js';
import { SimFault } from '../model/vsphere-types.js';
import { PRIMITIVES, schema, type Field, type FieldType } from './schema/schema.js';

export const VIM25 = 'urn:vim25';
export const XSI = 'http://www.w3.org/2001/XMLSchema-instance';
export const XSD = 'http://www.w3.org/2001/XMLSchema';

/** What vCenter answers to XML its schema does not allow. */
export function invalidRequest(message: string): SimFault {
  return new SimFault('InvalidRequest', message);
}

/**
 * Reads the children of `parent` as the sequence `fields`.
 * Strict where vcsim is not: an unknown element, a wrong order, a missing or repeated element is a fault,
 * because the real one refuses them and a client that only met a lenient peer fails at the customer.
 */
export function decodeSequence(parent: XmlElement, fields: readonly Field[], where: string, namespace = VIM25): Record<string, VimValue> {
  const result: Record<string, VimValue> = {};
  let position = 0;
  for (const child of parent.elements()) {
    if (child.namespace !== namespace)
      throw invalidRequest(`Element ${child.local} in ${where} is in namespace "${child.namespace}", not ${namespace}`);
    let index = position;
    while (index < fields.length && fields[index]?.name !== child.local) index += 1;
    const field = fields[index];
    if (!field) {
      const known = fields.some((f) => f.name === child.local);
      throw invalidRequest(`Element ${child.local} ${known ? 'is out of order' : 'is not expected'} in ${where}`);
    }
    const value = decodeValue(child, field.type, `${where}.${child.local}`, namespace);
    if (field.type.array) {
      result[field.name] = [...((result[field.name] as VimValue[] | undefined) ?? []), value];
      position = index;
    } else {
      result[field.name] = value;
      position = index + 1;
    }
  }
  for (const field of fields) {
    if (!field.optional && result[field.name] === undefined) throw invalidRequest(`Required element ${field.name} is missing in ${where}`);
  }
  return result;
}

function decodeValue(element: XmlElement, type: FieldType, where: string, namespace: string): VimValue {
  if (type.reference) return decodeReference(element, type.name, where);
  if (type.name === 'any') return decodeAny(element, where, namespace);
  if (PRIMITIVES.has(type.name)) return decodePrimitive(element, type.name, where);
  const words = schema.words(type.name);
  if (words) {
    const word = element.text();
    if (!words.has(word)) throw invalidRequest(`"${word}" is not a ${type.name} (${where})`);
    return word;
  }
  return decodeObject(element, type.name, where, namespace);
}

export function decodeReference(element: XmlElement, managedType: string, where: string): VimObject {
  const type = element.attribute('type', '');
  const value = element.text();
  if (type === undefined || value === '') throw invalidRequest(`${where} needs a managed object reference with a type`);
  if (schema.isManagedType(type) && !schema.isManaged(type, managedType)) {
    throw invalidRequest(`${where} needs a ${managedType}, not the ${type} ${value}`);
  }
  return moRef(type, value);
}

function decodePrimitive(element: XmlElement, type: string, where: string): VimValue {
  if (element.elements().length > 0) throw invalidRequest(`${where} holds elements where a ${type} is expected`);
  if (type === 'string') return element.children.join('');
  const text = element.text();
  switch (type) {
    case 'boolean':
      if (text === 'true' || text === '1') return true;
      if (text === 'false' || text === '0') return false;
      break;
    case 'int':
    case 'short':
    case 'byte':
    case 'long': {
      const limit = type === 'int' ? 2 ** 31 : type === 'short' ? 2 ** 15 : type === 'byte' ? 128 : 2 ** 53;
      const number = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
      if (number >= -limit && number < limit) return number;
      break;
    }
    case 'double':
    case 'float':
      if (text !== '' && Number.isFinite(Number(text))) return Number(text);
      break;
    case 'dateTime':
      if (!Number.isNaN(Date.parse(text))) return text;
      break;
    default:
      return text;
  }
  throw invalidRequest(`"${text}" is not a ${type} (${where})`);
}

function localTypeName(element: XmlElement): string | undefined {
  return element.attribute('type', XSI)?.replace(/^.*:/, '');
}

function decodeAny(element: XmlElement, where: string, namespace: string): VimValue {
  const type = localTypeName(element);
  if (type === undefined) throw invalidRequest(`${where} needs an xsi:type`);
  if (PRIMITIVES.has(type)) return decodePrimitive(element, type, where);
  return decodeObject(element, type, where, namespace);
}

function decodeObject(element: XmlElement, declared: string, where: string, namespace: string): VimObject {
  const actual = localTypeName(element) ?? declared;
  const fields = schema.fields(actual);
  if (!fields || !schema.isData(actual, declared)) throw invalidRequest(`${where} is a ${actual} where a ${declared} is expected`);
  return { $type: actual, ...decodeSequence(element, fields, actual, namespace) };
}

const escapeText = (text: string): string =>
  text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/\r/g, '&#13;');
const escapeAttribute = (text: string): string => escapeText(text).replace(/"/g, '&quot;');

/** One element for a value, one for each item of an array; nothing for undefined. The prefixes xsi and xsd must be declared. */
export function encodeField(name: string, value: VimValue, type: FieldType): string {
  if (value === undefined) return '';
  if (type.array && type.name !== 'any') {
    const items = Array.isArray(value) ? value : [value];
    return items.map((item) => encodeField(name, item, { ...type, array: false })).join('');
  }
  if (type.reference || isMoRef(value))
    return encodeReference(name, value, type.name === 'any' ? ' xsi:type="ManagedObjectReference"' : '');
  if (type.name === 'any') return encodeAny(name, value);
  if (typeof value === 'object') {
    if (Array.isArray(value)) throw new TypeError(`${name} is one ${type.name}, not a list`);
    return encodeObject(name, value, value.$type === type.name ? '' : ` xsi:type="${value.$type}"`);
  }
  return `<${name}>${escapeText(String(value))}</${name}>`;
}

/** A value under xsd:anyType, whose declared type is known: property values. */
export function encodeTyped(name: string, value: VimValue, type: FieldType): string {
  if (value === undefined) return '';
  if (type.array) {
    const itemName = type.reference ? 'ManagedObjectReference' : type.name;
    const arrayName = `ArrayOf${itemName.charAt(0).toUpperCase()}${itemName.slice(1)}`;
    return `<${name} xsi:type="${arrayName}">${encodeField(itemName, value, type)}</${name}>`;
  }
  if (type.reference || isMoRef(value)) return encodeReference(name, value, ' xsi:type="ManagedObjectReference"');
  if (typeof value === 'object' && !Array.isArray(value)) return encodeObject(name, value, ` xsi:type="${value.$type}"`);
  if (type.name === 'any') return encodeAny(name, value);
  const typeName = PRIMITIVES.has(type.name) ? `xsd:${type.name === 'base64' ? 'base64Binary' : type.name}` : type.name;
  return `<${name} xsi:type="${typeName}">${escapeText(String(value))}</${name}>`;
}

function encodeReference(name: string, value: VimValue, extra: string): string {
  if (!isMoRef(value)) throw new TypeError(`${name} is not a managed object reference`);
  return `<${name} type="${escapeAttribute(value.type)}"${extra}>${escapeText(value.value)}</${name}>`;
}

function encodeAny(name: string, value: VimValue): string {
  switch (typeof value) {
    case 'string':
      return `<${name} xsi:type="xsd:string">${escapeText(value)}</${name}>`;
    case 'boolean':
      return `<${name} xsi:type="xsd:boolean">${value}</${name}>`;
    case 'number':
      return `<${name} xsi:type="xsd:${Math.abs(value) < 2 ** 31 ? 'int' : 'long'}">${value}</${name}>`;
    case 'object':
      if (!Array.isArray(value)) return encodeObject(name, value, ` xsi:type="${value.$type}"`);
      throw new TypeError(`${name}: a list under anyType needs its type`);
    default:
      return '';
  }
}

function encodeObject(name: string, value: VimObject, extra: string): string {
  const fields = schema.fields(value.$type);
  if (!fields) throw new TypeError(`vim25 has no ${value.$type} here`);
  const inner = fields.map((field) => encodeField(field.name, value[field.name], field.type)).join('');
  return `<${name}${extra}>${inner}</${name}>`;
}
