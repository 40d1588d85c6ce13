import type { XmlElement } from '../../../../src/common/index.js';
import { noAccess, operationDenied, badRequest } from '../faults.js';
import { type Answer, type Exchange, ok, readBody } from '../exchange.js';
import { accepted, writableVapp, writableVm } from '../operations/guard.js';
import { type Route, route } from '../router.js';
import type { MetadataEntry, MetadataType, Vapp, Vm } from '../state.js';
import { metadataValueView, metadataView } from '../views/metadata-view.js';
import { MEDIA, NAMESPACES } from '../xml-names.js';

/** Metadata of vApps and VMs alike. The SYSTEM domain is the provider's to write; PRIVATE entries only the provider sees. */
export const metadataRoutes: readonly Route[] = (['vapp', 'vm'] as const).flatMap((kind) => {
  const base = `vApp/${kind}-:id/metadata`;
  return [
    route('GET', base, (exchange) => ok(metadataView(hrefOf(exchange, kind), visible(exchange, seen(exchange, kind))), MEDIA.metadata)),
    route('POST', base, (exchange) => merge(exchange, kind)),
    ...(['SYSTEM', 'GENERAL'] as const).flatMap((domain) => entryRoutes(`${base}/${domain}/:key`, kind, domain)),
    ...entryRoutes(`${base}/:key`, kind, 'GENERAL'),
  ];
});

type Kind = 'vapp' | 'vm';
type Domain = MetadataEntry['domain'];

function entryRoutes(path: string, kind: Kind, domain: Domain): Route[] {
  return [
    route('GET', path, (exchange) => ok(metadataValueView(hrefOf(exchange, kind), find(exchange, kind, domain)), MEDIA.metadataValue)),
    route('PUT', path, (exchange) => put(exchange, kind, domain)),
    route('DELETE', path, (exchange) => remove(exchange, kind, domain)),
  ];
}

function seen(exchange: Exchange, kind: Kind): Vapp | Vm {
  const id = exchange.parameters.id ?? '';
  return kind === 'vapp' ? exchange.cloud.requireVapp(exchange.session, id) : exchange.cloud.requireVm(exchange.session, id);
}
function writable(exchange: Exchange, kind: Kind): Vapp | Vm {
  const id = exchange.parameters.id ?? '';
  return kind === 'vapp' ? writableVapp(exchange, id) : writableVm(exchange, id);
}
function hrefOf(exchange: Exchange, kind: Kind): string {
  const id = exchange.parameters.id ?? '';
  return `${kind === 'vapp' ? exchange.hrefs.vapp(id) : exchange.hrefs.vm(id)}/metadata`;
}

function visible(exchange: Exchange, entity: Vapp | Vm): MetadataEntry[] {
  return entity.metadata.filter((entry) => exchange.session.isProvider || entry.visibility !== 'PRIVATE');
}

function find(exchange: Exchange, kind: Kind, domain: Domain): MetadataEntry {
  const { key = '' } = exchange.parameters;
  const entry = visible(exchange, seen(exchange, kind)).find((candidate) => candidate.key === key && candidate.domain === domain);
  if (!entry) throw noAccess('metadata', key);
  return entry;
}

function merge(exchange: Exchange, kind: Kind): Answer {
  const entity = writable(exchange, kind);
  const body = readBody(exchange, { element: 'Metadata', media: MEDIA.metadata });
  const entries = body.childrenNamed('MetadataEntry').map((element) => readEntry(element, element.textAt('Key') ?? '', 'GENERAL'));
  return store(exchange, entity, entries);
}

function put(exchange: Exchange, kind: Kind, domain: Domain): Answer {
  const entity = writable(exchange, kind);
  const body = readBody(exchange, { element: 'MetadataValue', media: MEDIA.metadataValue });
  const entry = readEntry(body, exchange.parameters.key ?? '', domain);
  if (entry.domain !== domain) throw badRequest(`The metadata domain ${entry.domain} of the body is not the ${domain} of the address.`);
  return store(exchange, entity, [entry]);
}

function remove(exchange: Exchange, kind: Kind, domain: Domain): Answer {
  const entity = writable(exchange, kind);
  requireDomainRight(exchange, domain);
  const entry = find(exchange, kind, domain);
  return accepted(exchange, {
    operationName: 'metadataDelete',
    operation: 'Deleting metadata of',
    entity,
    work: () => {
      entity.metadata = entity.metadata.filter((candidate) => candidate !== entry);
      exchange.cloud.changed();
    },
  });
}

function store(exchange: Exchange, entity: Vapp | Vm, entries: readonly MetadataEntry[]): Answer {
  for (const entry of entries) requireDomainRight(exchange, entry.domain);
  return accepted(exchange, {
    operationName: 'metadataUpdate',
    operation: 'Updating metadata of',
    entity,
    work: () => {
      const kept = entity.metadata.filter((old) => !entries.some((entry) => entry.key === old.key && entry.domain === old.domain));
      entity.metadata = [...kept, ...entries];
      exchange.cloud.changed();
    },
  });
}

function requireDomainRight(exchange: Exchange, domain: Domain): void {
  if (domain === 'SYSTEM' && !exchange.session.isProvider) throw operationDenied('General: Administrator Control');
}

const MAX_KEY_LENGTH = 256;

function readEntry(element: XmlElement, key: string, defaultDomain: Domain): MetadataEntry {
  if (key.trim() === '' || key.length > MAX_KEY_LENGTH)
    throw badRequest(`The metadata key "${key.slice(0, 40)}" must have 1 to ${MAX_KEY_LENGTH} characters.`);
  const domainElement = element.child('Domain');
  const domain = (domainElement?.text() as Domain | undefined) ?? defaultDomain;
  const visibility = domainElement?.attribute('visibility', '') ?? (domain === 'SYSTEM' ? 'PRIVATE' : 'READWRITE');
  const typed = element.child('TypedValue');
  const type = typed?.attribute('type', NAMESPACES.xsi)?.replace(/^.*:/, '') ?? 'MetadataStringValue';
  const value = typed?.child('Value') ?? element.child('Value');
  if (!value) throw badRequest(`The metadata entry "${key}" has no value.`);
  // White space is part of a string value: what text() trims is kept.
  const text = value.children.filter((node): node is string => typeof node === 'string').join('');
  return {
    key,
    domain,
    visibility: visibility as MetadataEntry['visibility'],
    type: type as MetadataType,
    value: type === 'MetadataStringValue' ? text : text.trim(),
  };
}
