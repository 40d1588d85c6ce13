import type { XmlElement } from '../common/index.js';
import type { VcdContext } from './context.js';
import { urnOf } from './links.js';
import { count, identity, recordOwner } from './inventory.js';
import { queryRecords } from './query.js';
import type { MediaRecord, NamedDiskRecord, VappTemplateRecord } from './types.js';

/** What an organization keeps beside its vApps: templates and media in catalogs, named disks in VDCs. */
export async function* vappTemplates(context: VcdContext, filter?: string, signal?: AbortSignal): AsyncGenerator<VappTemplateRecord> {
  const owner = await recordOwner(context, signal);
  const operation = 'Listing vApp templates';
  const type = owner.provider ? 'adminVAppTemplate' : 'vAppTemplate';
  for await (const record of queryRecords(context.http, { type, filter, operation, signal })) {
    const { href, name } = identity(record, operation);
    context.names.remember(href, name);
    yield {
      id: urnOf('vapptemplate', href),
      name,
      href,
      ...placeOf(record, owner),
      ...catalogOf(record),
      // Only some releases tell; the capture knows.
      storageKib: count(record.attribute('storageKB')),
      goldMaster: record.attribute('isGoldMaster') === 'true',
      busy: record.attribute('isBusy') === 'true',
    };
  }
}

export async function* media(context: VcdContext, filter?: string, signal?: AbortSignal): AsyncGenerator<MediaRecord> {
  const owner = await recordOwner(context, signal);
  const operation = 'Listing media';
  for await (const record of queryRecords(context.http, { type: owner.provider ? 'adminMedia' : 'media', filter, operation, signal })) {
    const { href, name } = identity(record, operation);
    context.names.remember(href, name);
    yield {
      id: urnOf('media', href),
      name,
      href,
      ...placeOf(record, owner),
      ...catalogOf(record),
      sizeBytes: count(record.attribute('storageB')),
      busy: record.attribute('isBusy') === 'true',
    };
  }
}

export async function* namedDisks(context: VcdContext, filter?: string, signal?: AbortSignal): AsyncGenerator<NamedDiskRecord> {
  const owner = await recordOwner(context, signal);
  const operation = 'Listing named disks';
  for await (const record of queryRecords(context.http, { type: owner.provider ? 'adminDisk' : 'disk', filter, operation, signal })) {
    const { href, name } = identity(record, operation);
    context.names.remember(href, name);
    yield {
      id: urnOf('disk', href),
      name,
      href,
      ...placeOf(record, owner),
      // sizeMb took the place of sizeB in API 33.0.
      sizeMib: count(record.attribute('sizeMb')) || Math.floor(count(record.attribute('sizeB')) / 1_048_576),
      storageProfileName: record.attribute('storageProfileName') ?? '',
      busType: record.attribute('busType') ?? '',
      busSubType: record.attribute('busSubType') ?? '',
      attachedVmCount: count(record.attribute('attachedVmCount')) || (record.attribute('isAttached') === 'true' ? 1 : 0),
    };
  }
}

function placeOf(record: XmlElement, owner: Awaited<ReturnType<typeof recordOwner>>) {
  return {
    vdcId: urnOf('vdc', record.attribute('vdc') ?? ''),
    organizationId: owner.organization(record),
    ownerName: record.attribute('ownerName') ?? '',
    status: record.attribute('status') ?? '',
  };
}

function catalogOf(record: XmlElement) {
  return {
    catalogId: urnOf('catalog', record.attribute('catalog') ?? ''),
    catalogName: record.attribute('catalogName') ?? '',
    catalogItemId: urnOf('catalogitem', record.attribute('catalogItem') ?? ''),
  };
}
