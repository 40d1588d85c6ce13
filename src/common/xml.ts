import { createRequire } from 'node:module';
import type { XMLParser } from 'fast-xml-parser';

/**
 * A namespace-aware XML tree that keeps everything: order, attributes with their namespaces,
 * text, and elements nobody here knows. vCloud answers vary their prefixes from release to
 * release (vmext in 10.x, ns3 in 5.5), so nothing may compare prefixes; and an entity that is
 * written back must not lose what we did not understand.
 */
export interface XmlAttribute {
  local: string;
  /** '' for an attribute without prefix, which by XML rules is in no namespace. */
  namespace: string;
  value: string;
}

export type XmlNode = XmlElement | string;

export class XmlElement {
  constructor(
    public local: string,
    public namespace: string = '',
    public attributes: XmlAttribute[] = [],
    public children: XmlNode[] = [],
  ) {}

  elements(): XmlElement[] {
    return this.children.filter((node): node is XmlElement => typeof node !== 'string');
  }

  /** The first child element of that local name; any namespace unless one is given. */
  child(local: string, namespace?: string): XmlElement | undefined {
    return this.elements().find((e) => e.local === local && (namespace === undefined || e.namespace === namespace));
  }

  childrenNamed(local: string, namespace?: string): XmlElement[] {
    return this.elements().filter((e) => e.local === local && (namespace === undefined || e.namespace === namespace));
  }

  /** Walks down by local names: `find('VCloudExtension', 'VmVimInfo', 'MoRef')`. */
  find(...path: string[]): XmlElement | undefined {
    let current: XmlElement | undefined = this;
    for (const local of path) current = current?.child(local);
    return current;
  }

  /** The text of this element, children's text not included, surrounding white space removed. */
  text(): string {
    return this.children
      .filter((node): node is string => typeof node === 'string')
      .join('')
      .trim();
  }

  /** Text of the element at the path, or undefined when the path is not there. */
  textAt(...path: string[]): string | undefined {
    return this.find(...path)?.text();
  }

  /** An attribute's value; with no namespace given, the first of that local name. */
  attribute(local: string, namespace?: string): string | undefined {
    return this.attributes.find((a) => a.local === local && (namespace === undefined || a.namespace === namespace))?.value;
  }

  setAttribute(local: string, value: string, namespace = ''): this {
    const found = this.attributes.find((a) => a.local === local && a.namespace === namespace);
    if (found) found.value = value;
    else this.attributes.push({ local, namespace, value });
    return this;
  }

  removeAttribute(local: string, namespace = ''): this {
    this.attributes = this.attributes.filter((a) => !(a.local === local && a.namespace === namespace));
    return this;
  }

  setText(value: string): this {
    this.children = [value];
    return this;
  }

  append(...nodes: XmlNode[]): this {
    this.children.push(...nodes);
    return this;
  }

  clone(): XmlElement {
    return new XmlElement(
      this.local,
      this.namespace,
      this.attributes.map((a) => ({ ...a })),
      this.children.map((node) => (typeof node === 'string' ? node : node.clone())),
    );
  }
}

export class XmlError extends Error {
  override readonly name = 'XmlError';
}

const XML_NAMESPACE = 'http://www.w3.org/XML/1998/namespace';
const TEXT = '#text';
const CDATA = '#cdata';
const ATTRIBUTES = ':@';
type RawNode = Record<string, unknown>;

const PARSING = {
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
  ignoreDeclaration: true,
  ignorePiTags: true,
  // Entities are decoded below, once: the parser leaves numeric references alone and would treat
  // CDATA like text.
  processEntities: false,
  cdataPropName: CDATA,
  maxNestedTags: 512,
} as const;

let loaded: XMLParser | undefined;

/** With the first document: the package takes a tenth of the start of a process, and many speak no XML at all. */
function parser(): XMLParser {
  if (loaded) return loaded;
  // The package's one bundled file: `import` would load forty modules.
  const { XMLParser: Parser } = createRequire(import.meta.url)('fast-xml-parser') as typeof import('fast-xml-parser');
  loaded = new Parser(PARSING);
  return loaded;
}

/** @throws XmlError when the text is not one well-formed element. */
export function parseXml(text: string): XmlElement {
  // A document type is never part of these protocols; refusing it closes entity tricks for good.
  const rootAt = text.search(/<[A-Za-z_:]/);
  if (/<!DOCTYPE/i.test(rootAt < 0 ? text : text.slice(0, rootAt))) throw new XmlError('XML with a document type is not accepted');
  let nodes: RawNode[];
  try {
    // XML 1.0, 2.11: line ends are one line feed.
    nodes = parser().parse(text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text, { allowBooleanAttributes: false }) as RawNode[];
  } catch (error) {
    throw new XmlError(`Not well-formed XML: ${(error as Error).message}`);
  }
  const roots = nodes.filter((node) => !(TEXT in node));
  const root = roots[0];
  // The parser drops text behind the root without a word.
  const stray =
    text.slice(text.lastIndexOf('>') + 1).trim() !== '' ||
    nodes.some((node) => TEXT in node && String(node[TEXT]).replace('\uFEFF', '').trim() !== '');
  if (roots.length !== 1 || root === undefined || stray) throw new XmlError('XML must have exactly one root element and nothing beside it');
  return resolve(root, new Map([['xml', XML_NAMESPACE]]), 'the document');
}

function resolve(raw: RawNode, inherited: ReadonlyMap<string, string>, where: string): XmlElement {
  const qualified = Object.keys(raw).find((key) => key !== ATTRIBUTES) as string;
  const rawAttributes = (raw[ATTRIBUTES] ?? {}) as Record<string, string>;
  let scope = inherited;
  for (const [name, value] of Object.entries(rawAttributes)) {
    if (name !== 'xmlns' && !name.startsWith('xmlns:')) continue;
    if (scope === inherited) scope = new Map(inherited);
    (scope as Map<string, string>).set(name === 'xmlns' ? '' : name.slice(6), decode(String(value)));
  }
  const attributes: XmlAttribute[] = [];
  for (const [name, value] of Object.entries(rawAttributes)) {
    if (name === 'xmlns' || name.startsWith('xmlns:')) continue;
    const { prefix, local } = splitName(name);
    attributes.push({ local, namespace: prefix === '' ? '' : lookUp(scope, prefix, where), value: attributeValue(String(value), name) });
  }
  const { prefix, local } = splitName(qualified);
  const namespace = prefix === '' ? (scope.get('') ?? '') : lookUp(scope, prefix, where);
  const element = new XmlElement(local, namespace, attributes);
  for (const node of raw[qualified] as RawNode[]) {
    if (TEXT in node) appendText(element, decode(String(node[TEXT])));
    else if (CDATA in node) appendText(element, cdataText(node));
    else element.children.push(resolve(node, scope, local));
  }
  return element;
}

/** One run of text is one node, whatever comments and CDATA sections it was written with. */
function appendText(element: XmlElement, text: string): void {
  const last = element.children.length - 1;
  if (typeof element.children[last] === 'string') element.children[last] += text;
  else element.children.push(text);
}

/** XML 1.0, 3.3.3: white space written as such in an attribute is spaces; only a character reference keeps it. */
function attributeValue(raw: string, name: string): string {
  if (raw.includes('<')) throw new XmlError(`Not well-formed XML: attribute ${name} contains a <`);
  return decode(/[\t\n]/.test(raw) ? raw.replace(/[\t\n]/g, ' ') : raw);
}

function cdataText(node: RawNode): string {
  return (node[CDATA] as RawNode[]).map((part) => String(part[TEXT] ?? '')).join('');
}

const NAMED: ReadonlyMap<string, string> = new Map(Object.entries({ amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }));

function decode(value: string): string {
  if (!value.includes('&')) return value;
  return value.replace(/&(?:#x([0-9a-fA-F]{1,6})|#([0-9]{1,7})|([A-Za-z][\w.-]*));/g, (whole, hex, decimal, named) => {
    if (named !== undefined) {
      const text = NAMED.get(named as string);
      if (text === undefined) throw new XmlError(`Entity ${whole} is not defined`);
      return text;
    }
    const codePoint = hex === undefined ? Number.parseInt(decimal, 10) : Number.parseInt(hex, 16);
    // Control characters are passed on, because vCenters send them; no database takes a NUL or half a surrogate pair.
    if (codePoint === 0 || codePoint > 0x10ffff || (codePoint >= 0xd800 && codePoint <= 0xdfff))
      throw new XmlError(`${whole} is not a character`);
    return String.fromCodePoint(codePoint);
  });
}

function splitName(name: string): { prefix: string; local: string } {
  const colon = name.indexOf(':');
  if (colon !== name.lastIndexOf(':')) throw new XmlError(`Not well-formed XML: "${name}" has two colons`);
  return colon < 0 ? { prefix: '', local: name } : { prefix: name.slice(0, colon), local: name.slice(colon + 1) };
}

function lookUp(scope: ReadonlyMap<string, string>, prefix: string, where: string): string {
  const namespace = scope.get(prefix);
  if (namespace === undefined) throw new XmlError(`Prefix "${prefix}" is used in ${where} and never declared`);
  return namespace;
}

export interface XmlWriteOptions {
  /** namespace -> preferred prefix; '' makes it the default namespace. Others get ns1, ns2, … */
  prefixes?: Readonly<Record<string, string>>;
  declaration?: boolean;
}

/** Writes the tree with every namespace declared once, on the root. */
export function writeXml(root: XmlElement, options: XmlWriteOptions = {}): string {
  const prefixes = new Map<string, string>([[XML_NAMESPACE, 'xml']]);
  const taken = new Set<string>(['xml']);
  let usesNoNamespace = false;
  const visit = (element: XmlElement): void => {
    if (element.namespace === '') usesNoNamespace = true;
    else claim(element.namespace, false);
    for (const a of element.attributes) if (a.namespace !== '') claim(a.namespace, true);
    for (const e of element.elements()) visit(e);
  };
  const claim = (namespace: string, forAttribute: boolean): void => {
    const current = prefixes.get(namespace);
    // An attribute cannot use the default namespace: such a namespace needs a real prefix.
    if (current !== undefined && !(forAttribute && current === '')) return;
    const wanted = options.prefixes?.[namespace];
    if (wanted !== undefined && !(forAttribute && wanted === '') && !taken.has(wanted)) {
      prefixes.set(namespace, wanted);
      taken.add(wanted);
      return;
    }
    let n = 1;
    while (taken.has(`ns${n}`)) n += 1;
    prefixes.set(namespace, `ns${n}`);
    taken.add(`ns${n}`);
  };
  visit(root);
  if (usesNoNamespace) {
    for (const [namespace, prefix] of prefixes)
      if (prefix === '') {
        prefixes.delete(namespace);
        claim(namespace, true);
      }
  }
  const declarations = [...prefixes]
    .filter(([namespace]) => namespace !== XML_NAMESPACE)
    .map(([namespace, prefix]) => ` xmlns${prefix === '' ? '' : `:${prefix}`}="${escapeAttribute(namespace)}"`)
    .join('');
  const name = (local: string, namespace: string): string => {
    const prefix = namespace === '' ? '' : (prefixes.get(namespace) as string);
    return prefix === '' ? local : `${prefix}:${local}`;
  };
  const write = (element: XmlElement, extra: string): string => {
    const tag = name(element.local, element.namespace);
    const attributes = element.attributes.map((a) => ` ${name(a.local, a.namespace)}="${escapeAttribute(a.value)}"`).join('');
    if (element.children.length === 0) return `<${tag}${extra}${attributes}/>`;
    const inner = element.children.map((node) => (typeof node === 'string' ? escapeText(node) : write(node, ''))).join('');
    return `<${tag}${extra}${attributes}>${inner}</${tag}>`;
  };
  const body = write(root, declarations);
  return options.declaration === false ? body : `<?xml version="1.0" encoding="UTF-8"?>\n${body}`;
}

/** Shorthand for building: attributes of no namespace; undefined values and undefined nodes are left out. */
export function element(
  local: string,
  namespace: string,
  attributes: Record<string, string | number | boolean | undefined> = {},
  ...children: (XmlNode | undefined)[]
): XmlElement {
  return new XmlElement(
    local,
    namespace,
    Object.entries(attributes)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => ({ local: key, namespace: '', value: String(value) })),
    children.filter((node): node is XmlNode => node !== undefined),
  );
}

function escapeText(value: string): string {
  return value.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/\r/g, '&#13;');
}

function escapeAttribute(value: string): string {
  return escapeText(value).replace(/"/g, '&quot;').replace(/\n/g, '&#10;').replace(/\t/g, '&#9;');
}
