import type { XmlElement } from '../../../../src/common/index.js';
import { badRequest } from '../faults.js';
import { NAMESPACES } from '../xml-names.js';
import { COMPLEX_TYPES, ENUMERATIONS, RASD_ORDER, SECTION_ELEMENTS, SERVICE_ELEMENTS } from './types.js';

/**
 * Checks a request body against the content models the way the cell's SAX validation does: order,
 * namespace, cardinality, required attributes and simple values. The first fault ends it.
 * @throws VcdFault 400 BAD_REQUEST with a cvc-… text.
 */
export function validateBody(element: XmlElement, expected: { local: string; namespace: string; type: string }): void {
  if (element.local !== expected.local || element.namespace !== expected.namespace) {
    reject(
      `cvc-elt.1: Cannot find the declaration of element '${qualified(element)}'. Expected '{${expected.namespace}}${expected.local}'.`,
    );
  }
  validateType(element, expected.type);
}

interface Particle {
  /** 'element', or what a wildcard admits. */
  kind: 'element' | 'any' | 'sections' | 'services' | 'properties' | 'rasd';
  local: string;
  namespace: string;
  type: string;
  min: number;
  max: number;
}
interface Model {
  attributes: { local: string; namespace: string }[];
  particles: Particle[];
}

const models = new Map<string, Model>();

function modelOf(type: string): Model | undefined {
  const text = COMPLEX_TYPES[type];
  if (text === undefined) return undefined;
  const known = models.get(type);
  if (known) return known;
  const model: Model = { attributes: [], particles: [] };
  // Every wildcard of these schemas is ##other: any namespace but the type's own.
  const own = type.startsWith('o/') ? NAMESPACES.ovf : NAMESPACES.vcloud;
  for (const token of text.split(' ')) addToken(model, token, own);
  models.set(type, model);
  return model;
}

function addToken(model: Model, token: string, own: string): void {
  const any = (kind: Particle['kind']): void => {
    model.particles.push({ kind, local: '', namespace: own, type: '', min: 0, max: Number.POSITIVE_INFINITY });
  };
  const many = (local: string): void => {
    model.particles.push({ kind: 'element', local, namespace: NAMESPACES.vcloud, type: local, min: 0, max: Number.POSITIVE_INFINITY });
  };
  if (token.startsWith('@')) {
    const name = token.slice(1, -1);
    model.attributes.push(name.startsWith('ovf:') ? { local: name.slice(4), namespace: NAMESPACES.ovf } : { local: name, namespace: '' });
  } else if (token === '~' || token === '~~') {
    many('VCloudExtension');
    if (token === '~~') many('Link');
  } else if (token === '<any>') any('any');
  else if (token === '<Sections>') any('sections');
  else if (token === '<Services>') any('services');
  else if (token === '<Properties>') any('properties');
  else if (token === '<Rasd>') any('rasd');
  else model.particles.push(elementParticle(token));
}

function elementParticle(token: string): Particle {
  const match = /^(?:(x|o)\/)?([^:]+):([^?*+]+)([?*+]?)$/.exec(token);
  if (!match) throw new Error(`Content model token ${token} is malformed`);
  const [, prefix, local = '', type = '', cardinality] = match;
  const namespace =
    prefix === 'x' ? NAMESPACES.vmext : prefix === 'o' ? NAMESPACES.ovf : local === 'Environment' ? NAMESPACES.ovfenv : NAMESPACES.vcloud;
  return {
    kind: 'element',
    local,
    namespace,
    type,
    min: cardinality === '' || cardinality === '+' ? 1 : 0,
    max: cardinality === '*' || cardinality === '+' ? Number.POSITIVE_INFINITY : 1,
  };
}

function validateType(element: XmlElement, type: string): void {
  if (type === 'anything' || type === 'text') return;
  const model = modelOf(type);
  if (type === 'TypedValue') validateTypedValue(element);
  else if (type === 'MetadataDomain') validateMetadataDomain(element);
  else if (model) validateComplex(element, model);
  else validateSimple(element, type);
}

function validateComplex(element: XmlElement, model: Model): void {
  for (const { local, namespace } of model.attributes) {
    if (element.attribute(local, namespace) === undefined) {
      reject(`cvc-complex-type.4: Attribute '${local}' must appear on element '${qualified(element)}'.`);
    }
  }
  validateContent(element, model);
}

function validateContent(element: XmlElement, model: Model): void {
  const children = element.elements();
  let position = 0;
  let count = 0;
  for (const child of children) {
    let particle = model.particles[position];
    while (particle && !(matches(particle, child) && count < particle.max)) {
      if (count < particle.min) reject(unexpected(child, model.particles, position));
      position += 1;
      count = 0;
      particle = model.particles[position];
    }
    if (!particle) reject(unexpected(child, model.particles, lastPossible(model, child, children)));
    count += 1;
    validateChild(child, particle);
  }
  for (let index = position; index < model.particles.length; index += 1) {
    const particle = model.particles[index] as Particle;
    if ((index === position ? count : 0) < particle.min) {
      reject(
        `cvc-complex-type.2.4.b: The content of element '${qualified(element)}' is not complete. One of '{${name(particle)}}' is expected.`,
      );
    }
  }
  if (model.particles[0]?.kind === 'rasd') validateRasd(children);
}

/** Where the validator stood before the child nothing matched: what it names as expected. */
function lastPossible(model: Model, child: XmlElement, children: readonly XmlElement[]): number {
  const before = children[children.indexOf(child) - 1];
  const index = before === undefined ? 0 : model.particles.findLastIndex((particle) => matches(particle, before));
  return Math.max(0, index);
}

function matches(particle: Particle, child: XmlElement): boolean {
  switch (particle.kind) {
    case 'element':
      return child.local === particle.local && child.namespace === particle.namespace;
    case 'any':
      return child.namespace !== particle.namespace;
    case 'sections':
      return SECTION_ELEMENTS.has(tableName(child));
    case 'services':
      return child.namespace === NAMESPACES.vcloud && SERVICE_ELEMENTS.includes(child.local);
    case 'properties':
      return child.namespace === NAMESPACES.ovf && (child.local === 'Category' || child.local === 'Property');
    case 'rasd':
      return child.namespace !== NAMESPACES.ovf;
  }
}

function validateChild(child: XmlElement, particle: Particle): void {
  if (particle.kind === 'element') validateType(child, particle.type);
  else if (particle.kind === 'sections') validateType(child, SECTION_ELEMENTS.get(tableName(child)) as string);
  else if (particle.kind === 'services') validateType(child, child.local);
}

function validateRasd(children: readonly XmlElement[]): void {
  let last = -1;
  for (const child of children.filter((candidate) => candidate.namespace === NAMESPACES.rasd)) {
    const place = RASD_ORDER.indexOf(child.local);
    if (place < last || place < 0) {
      reject(`cvc-complex-type.2.4.a: Invalid content was found starting with element '${qualified(child)}'.`);
    }
    last = place;
  }
  for (const required of ['InstanceID', 'ResourceType']) {
    if (!children.some((child) => child.local === required && child.namespace === NAMESPACES.rasd)) {
      reject(
        `cvc-complex-type.2.4.b: The content of element 'Item' is not complete. One of '{"${NAMESPACES.rasd}":${required}}' is expected.`,
      );
    }
  }
}

const SIMPLE: Readonly<Record<string, RegExp>> = {
  boolean: /^(true|false|0|1)$/,
  int: /^[+-]?\d{1,19}$/,
  dateTime: /^-?\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?$/,
  double: /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/,
  ip: /^((25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)$/,
  // The schema's IpAddressType is a string; clients send an empty one for a NIC whose address is not theirs to choose.
  ipOrNone: /^((25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)?$/,
  mac: /^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$/,
};

function validateSimple(element: XmlElement, type: string): void {
  if (element.elements().length > 0) {
    reject(`cvc-type.3.1.2: Element '${qualified(element)}' is a simple type, so it must have no element information item [children].`);
  }
  if (type === 'string') return;
  const text = element.text();
  const values = ENUMERATIONS[type];
  if (values) {
    if (!values.includes(text)) {
      reject(
        `cvc-enumeration-valid: Value '${text}' of element '${qualified(element)}' is not facet-valid with respect to enumeration '[${values.join(', ')}]'.`,
      );
    }
    return;
  }
  const pattern = SIMPLE[type];
  if (!pattern) throw new Error(`No content model is known for type ${type}`);
  if (!pattern.test(text))
    reject(`cvc-datatype-valid.1.2.1: '${text}' is not a valid value for '${type}' of element '${qualified(element)}'.`);
}

const TYPED_VALUES: Readonly<Record<string, string>> = {
  MetadataStringValue: 'string',
  MetadataNumberValue: 'int',
  MetadataBooleanValue: 'boolean',
  MetadataDateTimeValue: 'dateTime',
};

function validateTypedValue(element: XmlElement): void {
  const type = element.attribute('type', NAMESPACES.xsi)?.replace(/^.*:/, '');
  const simple = TYPED_VALUES[type ?? ''];
  if (simple === undefined) {
    reject(`cvc-elt.4.2: Cannot resolve '${type ?? ''}' to a type definition for element 'TypedValue'.`);
  }
  const [value, ...more] = element.elements();
  if (value?.local !== 'Value' || value.namespace !== NAMESPACES.vcloud || more.length > 0) {
    reject(
      `cvc-complex-type.2.4.b: The content of element 'TypedValue' is not complete. One of '{"${NAMESPACES.vcloud}":Value}' is expected.`,
    );
  }
  validateSimple(value, simple);
}

/** The pairs VCD takes: GENERAL is READWRITE, SYSTEM is PRIVATE or READONLY. */
function validateMetadataDomain(element: XmlElement): void {
  const [domain, visibility] = [element.text(), element.attribute('visibility', '')];
  if (visibility === undefined) reject("cvc-complex-type.4: Attribute 'visibility' must appear on element 'Domain'.");
  const valid =
    domain === 'GENERAL' ? visibility === 'READWRITE' : domain === 'SYSTEM' && (visibility === 'PRIVATE' || visibility === 'READONLY');
  if (!valid) reject(`Metadata domain ${domain} does not allow visibility ${visibility}.`);
}

function unexpected(child: XmlElement, particles: readonly Particle[], from: number): string {
  const expected: string[] = [];
  for (const particle of particles.slice(from)) {
    if (particle.kind === 'element') expected.push(name(particle));
    if (particle.min > 0) break;
  }
  const hint = expected.length > 0 ? ` One of '{${expected.join(', ')}}' is expected.` : ' No child element is expected at this point.';
  return `cvc-complex-type.2.4.a: Invalid content was found starting with element '${qualified(child)}'.${hint}`;
}

function name(particle: Particle): string {
  return `"${particle.namespace}":${particle.local}`;
}

function qualified(element: XmlElement): string {
  return element.namespace === NAMESPACES.vcloud ? element.local : `{${element.namespace}}${element.local}`;
}

function tableName(element: XmlElement): string {
  if (element.namespace === NAMESPACES.ovf) return `o/${element.local}`;
  return element.namespace === NAMESPACES.vcloud ? element.local : '';
}

function reject(detail: string): never {
  throw badRequest(`Bad request\n - Unexpected JAXBException\n - ${detail}`);
}
