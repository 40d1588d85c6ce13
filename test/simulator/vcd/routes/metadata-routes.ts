import type { XmlElement } from '../../../../src/common/index.js';
import { noAccess, operationDenied, badRequest } from '../faults.js';
import { type Answer, type Exchange, ok, readBody } from '../exchange.js';
import {
  catalogItemName,
  catalogName,
  containerOf,
  diskName,
  mediaName,
  requireCatalog,
  requireCatalogItem,
  requireDisk,
  requireMedia,
  requireTemplate,
  requireTemplateVm,
  templateName,
} from '../operations/entities.js';
import { accepted, type OwnedEntity, requireIdle, type TaskPlan, writableVapp, writableVm } from '../operations/guard.js';
import { type Route, route } from '../router.js';
import type { CatalogItem, MetadataEntry, MetadataType, Vapp, Vm } from '../state.js';
import { metadataValueView, metadataView } from '../views/metadata-view.js';
import { MEDIA, NAMESPACES } from '../xml-names.js';

type Domain = MetadataEntry['domain'];
type Holder = Pick<Vapp, 'id' | 'name' | 'metadata'>;

/** An entity that carries metadata: where it is, who may see it, who may change it. */
interface Carrier {
  path: string;
  seen: (exchange: Exchange, id: string) => Holder;
  writable: (exchange: Exchange, id: string) => Holder;
  taskEntity: (exchange: Exchange, holder: Holder) => TaskPlan['entity'];
}

const asItIs = <T>(_: Exchange, holder: Holder): T => holder as T;
const CARRIERS: readonly Carrier[] = [
  {
    path: 'vApp/vapp-:id',
    seen: (exchange, id) => exchange.cloud.requireVapp(exchange.session, id),
    writable: (exchange, id) => writableVapp(exchange, id),
    taskEntity: asItIs<Vapp>,
  },
  {
    path: 'vApp/vm-:id',
    seen: (exchange, id) => exchange.cloud.requireVm(exchange.session, id),
    writable: (exchange, id) => writableVm(exchange, id),
    taskEntity: asItIs<Vm>,
  },
  carrier('disk/:id', requireDisk, diskName),
  carrier('media/:id', requireMedia, mediaName),
  carrier('vAppTemplate/vappTemplate-:id', requireTemplate, templateName),
  {
    path: 'vAppTemplate/vm-:id',
    seen: (exchange, id) => requireTemplateVm(exchange, id),
    writable: (exchange, id) => requireTemplateVm(exchange, id, 'write'),
    taskEntity: (exchange, holder) => ({
      kind: 'vm',
      id: holder.id,
      name: holder.name,
      organizationId: containerOf(exchange.cloud, holder as Vm).organizationId,
    }),
  },
  carrier('catalog/:id', requireCatalog, catalogName),
  carrier('admin/catalog/:id', requireCatalog, catalogName),
  {
    path: 'catalogItem/:id',
    seen: (exchange, id) => requireCatalogItem(exchange, id),
    writable: (exchange, id) => requireCatalogItem(exchange, id, 'write'),
    taskEntity: (exchange, holder) => {
      const item = holder as CatalogItem;
      return catalogItemName(item, requireCatalog(exchange, item.catalogId).organizationId);
    },
  },
];

function carrier<T extends Holder>(
  path: string,
  require: (exchange: Exchange, id: string, need?: 'read' | 'write') => T,
  name: (entity: T) => OwnedEntity,
): Carrier {
  return {
    path,
    seen: (exchange, id) => require(exchange, id),
    writable: (exchange, id) => {
      const entity = require(exchange, id, 'write');
      requireIdle(exchange, name(entity));
      return entity;
    },
    taskEntity: (_, holder) => name(holder as T),
  };
}

/** Metadata of all that has it. The SYSTEM domain is the provider's to write; PRIVATE entries only the provider sees. */
export const metadataRoutes: readonly Route[] = CARRIERS.flatMap((kind) => {
  const base = `${kind.path}/metadata`;
  return [
    route('GET', base, (exchange) => ok(metadataView(hrefOf(exchange, kind), visible(exchange, seen(exchange, kind))), MEDIA.metadata)),
    route('POST', base, (exchange) => merge(exchange, kind)),
    ...(['SYSTEM', 'GENERAL'] as const).flatMap((domain) => entryRoutes(`${base}/${domain}/:key`, kind, domain)),
    ...entryRoutes(`${base}/:key`, kind, 'GENERAL'),
  ];
});

function entryRoutes(path: string, kind: Carrier, domain: Domain): Route[] {
  return [
    route('GET', path, (exchange) => ok(metadataValueView(hrefOf(exchange, kind), find(exchange, kind, domain)), MEDIA.metadataValue)),
    route('PUT', path, (exchange) => put(exchange, kind, domain)),
    route('DELETE', path, (exchange) => remove(exchange, kind, domain)),
  ];
}

const seen = (exchange: Exchange, kind: Carrier): Holder => kind.seen(exchange, exchange.parameters.id ?? '');
const writable = (exchange: Exchange, kind: Carrier): Holder => kind.writable(exchange, exchange.parameters.id ?? '');
const hrefOf = (exchange: Exchange, kind: Carrier): string =>
  exchange.hrefs.api(`${kind.path.replace(':id', exchange.parameters.id ?? '')}/metadata`);

function visible(exchange: Exchange, entity: Holder): MetadataEntry[] {
  return entity.metadata.filter((entry) => exchange.session.isProvider || entry.visibility !== 'PRIVATE');
}

function find(exchange: Exchange, kind: Carrier, domain: Domain): MetadataEntry {
  const { key = '' } = exchange.parameters;
  const entry = visible(exchange, seen(exchange, kind)).find((candidate) => candidate.key === key && candidate.domain === domain);
  if (!entry) throw noAccess('metadata', key);
  return entry;
}

function merge(exchange: Exchange, kind: Carrier): Answer {
  const entity = writable(exchange, kind);
  const body = readBody(exchange, { element: 'Metadata', media: MEDIA.metadata });
  const entries = body.childrenNamed('MetadataEntry').map((element) => readEntry(element, element.textAt('Key') ?? '', 'GENERAL'));
  return store(exchange, kind, entity, entries);
}

function put(exchange: Exchange, kind: Carrier, domain: Domain): Answer {
  const entity = writable(exchange, kind);
  const body = readBody(exchange, { element: 'MetadataValue', media: MEDIA.metadataValue });
  const entry = readEntry(body, exchange.parameters.key ?? '', domain);
  if (entry.domain !== domain) throw badRequest(`The metadata domain ${entry.domain} of the body is not the ${domain} of the address.`);
  return store(exchange, kind, entity, [entry]);
}

function remove(exchange: Exchange, kind: Carrier, domain: Domain): Answer {
  const entity = writable(exchange, kind);
  requireDomainRight(exchange, domain);
  const entry = find(exchange, kind, domain);
  return accepted(exchange, {
    operationName: 'metadataDelete',
    operation: 'Deleting metadata of',
    entity: kind.taskEntity(exchange, entity),
    work: () => {
      entity.metadata = entity.metadata.filter((candidate) => candidate !== entry);
      exchange.cloud.changed();
    },
  });
}

function store(exchange: Exchange, kind: Carrier, entity: Holder, entries: readonly MetadataEntry[]): Answer {
  for (const entry of entries) requireDomainRight(exchange, entry.domain);
  return accepted(exchange, {
    operationName: 'metadataUpdate',
    operation: 'Updating metadata of',
    entity: kind.taskEntity(exchange, entity),
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
