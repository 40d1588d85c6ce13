import type { ManifestFirstClassDisk } from '../../catalog/index.js';
import { MIB } from '../../common/index.js';
import type { DatastoreListing, FirstClassDisk, FirstClassDiskCapture, StoragePolicy } from '../../vsphere/index.js';
import type { FirstClassDiskPlan, PlanItem, WantedFirstClassDisk } from '../plan-types.js';
import type { RestoreRequest } from '../restore-request.js';
import { assertOption, optionsOf, planItem } from './choose.js';

/** What a first class disk is restored into. */
export interface FirstClassDiskToday {
  /** Of its vCenter, those that can be reached. */
  datastores: readonly DatastoreListing[];
  /** Undefined where vCenter does not tell. */
  policies: readonly StoragePolicy[] | undefined;
  /** MoRefs of datastores a policy can be kept on, by id; vCenter is asked of the one that is meant. */
  compatible: ReadonlyMap<string, readonly string[]>;
  /** The disk itself, where it is still there. */
  original: FirstClassDisk | undefined;
  /** Who has the original. */
  users: readonly { vmMoRef: string; vmName: string | null }[];
  /** Metadata of such disks are told and taken since 7.0.2. */
  takesMetadata: boolean;
}

type Request = Pick<RestoreRequest, 'name' | 'choices'>;
type Ruled = Pick<FirstClassDiskPlan, 'target' | 'wanted' | 'items'>;

/** Pure: the same restore point, vCenter and choices give the same plan. */
export function ruleFirstClassDisk(
  captured: FirstClassDiskCapture,
  content: Pick<ManifestFirstClassDisk, 'allocatedBytes' | 'capacityBytes'>,
  today: FirstClassDiskToday,
  request: Request,
): Ruled {
  const { choices } = request;
  const { target, item: existing } = ruleTarget(captured, today, choices.existingDisk ?? 'beside');
  const name = request.name ?? captured.name;
  const items = [existing, sameOr('name', captured.name, name, `It is named "${name}" instead of "${captured.name}".`)];
  const provisioning =
    target === 'overwrite' ? (today.original?.provisioning ?? captured.provisioning) : (choices.provisioning ?? captured.provisioning);
  items.push(sameOr('provisioning', captured.provisioning, provisioning, `It is ${provisioning} instead of ${captured.provisioning}.`));
  if (target === 'new' && content.capacityBytes % MIB !== 0) items.push(ruleSize(content.capacityBytes));
  const neededBytes = provisioning === 'thin' ? content.allocatedBytes : content.capacityBytes;
  const place = target === 'overwrite' ? presentPlace(captured, today) : ruleDatastore(captured, today, choices.datastore, neededBytes);
  items.push(place.item);
  const policy = target === 'overwrite' ? undefined : rulePolicy(captured, today, place.datastore, choices.storagePolicy);
  if (policy !== undefined) items.push(policy.item);
  if (captured.encrypted && policy?.policyId === undefined && today.original?.encrypted !== true)
    items.push(
      planItem(
        'encrypted',
        'changed',
        { captured: true, planned: false },
        'It was encrypted and comes back unencrypted, because no storage policy says otherwise.',
      ),
    );
  items.push(ruleMetadata(captured, today));
  const wanted: WantedFirstClassDisk = {
    name,
    datastoreMoRef: place.datastore?.moRef ?? '',
    datastoreName: place.datastore?.name ?? '',
    datastoreType: place.datastore?.type ?? 'unknown',
    provisioning,
    policyId: policy?.policyId,
    metadata: today.takesMetadata ? captured.metadata : [],
  };
  return { target, wanted, items };
}

function ruleSize(capacityBytes: number): PlanItem {
  const planned = Math.ceil(capacityBytes / MIB) * MIB;
  const sentence = `vSphere makes first class disks of whole MiB, so it has ${planned} bytes instead of ${capacityBytes}.`;
  return planItem('capacityBytes', 'changed', { captured: capacityBytes, planned }, sentence);
}

/** Beside the one that is there, or over it where that can be. */
function ruleTarget(
  { name, diskId, capacityBytes }: FirstClassDiskCapture,
  { original, users }: FirstClassDiskToday,
  asked: 'beside' | 'overwrite',
): { target: FirstClassDiskPlan['target']; item: PlanItem } {
  const options = optionsOf(['beside', 'overwrite']);
  const choice = { field: 'existingDisk', chosen: asked, options };
  if (asked === 'beside') {
    const sentence =
      original === undefined
        ? 'The new disk has an id of its own: whoever knew the old one by its id has to be told.'
        : `First class disk "${original.name}" is still there; the restored one is made beside it, with an id of its own.`;
    return { target: 'new', item: planItem('id', 'changed', { captured: diskId, planned: 'a new one' }, sentence, { choice }) };
  }
  const why = whyNotOver(name, capacityBytes, original, users);
  if (why === undefined)
    return { target: 'overwrite', item: planItem('id', 'fits', { captured: diskId, planned: diskId }, '', { choice }) };
  const item = planItem(
    'id',
    'not-permitted',
    { captured: diskId, planned: null },
    `${why}; restore it as a new disk (choices.existingDisk "beside").`,
    {
      choice,
      needsChoice: true,
    },
  );
  return { target: 'overwrite', item };
}

function whyNotOver(
  name: string,
  capacityBytes: number,
  original: FirstClassDisk | undefined,
  users: FirstClassDiskToday['users'],
): string | undefined {
  if (original === undefined) return `First class disk "${name}" is not there any more, so it cannot be written over`;
  if (users.length > 0) {
    const vms = users.map(({ vmMoRef, vmName }) => (vmName === null ? vmMoRef : `"${vmName}"`)).join(', ');
    return `First class disk "${original.name}" is attached to ${users.length === 1 ? 'VM' : 'VMs'} ${vms}, so it cannot be written over; detach it first`;
  }
  if (original.capacityBytes === capacityBytes) return undefined;
  return `First class disk "${original.name}" has ${original.capacityBytes} bytes today and had ${capacityBytes}, so it cannot be written over`;
}

interface RuledPlace {
  datastore: DatastoreListing | undefined;
  item: PlanItem;
}

function presentPlace(captured: FirstClassDiskCapture, { original, datastores }: FirstClassDiskToday): RuledPlace {
  const datastore = datastores.find(({ moRef }) => moRef === original?.datastoreMoRef);
  const planned = datastore?.name ?? original?.datastoreMoRef ?? null;
  return {
    datastore,
    item: sameOr('datastore', captured.datastore.name, planned, `It is on datastore ${planned} today, and stays there.`),
  };
}

/** By name: MoRefs are begun anew when a vCenter is. A datastore that cannot take the disk is no place for it. */
function ruleDatastore(
  captured: FirstClassDiskCapture,
  { datastores }: FirstClassDiskToday,
  asked: string | undefined,
  neededBytes: number,
): RuledPlace {
  const roomy = datastores.filter(({ freeBytes }) => freeBytes >= neededBytes);
  const options = roomy.map(({ moRef, name, type, freeBytes }) => ({
    value: name,
    label: `${name} (${moRef}, ${type}, ${freeBytes} bytes free)`,
  }));
  if (asked !== undefined && !datastores.some(({ name, moRef }) => name === asked || moRef === asked))
    assertOption('datastore', asked, options);
  const datastore = datastores.find(({ name, moRef }) =>
    asked === undefined ? name === captured.datastore.name : name === asked || moRef === asked,
  );
  const choice = { field: 'datastore', chosen: datastore?.name ?? null, options };
  const values = { captured: captured.datastore.name, planned: datastore?.name ?? null };
  if (datastore === undefined) {
    const sentence = `Datastore "${captured.datastore.name}" is not there any more; name another with choices.datastore.`;
    return { datastore, item: planItem('datastore', 'missing', values, sentence, { choice, needsChoice: true }) };
  }
  if (datastore.freeBytes < neededBytes) {
    const sentence = `Datastore "${datastore.name}" has ${datastore.freeBytes} bytes free and the disk needs ${neededBytes}; free some, or name another with choices.datastore.`;
    return { datastore, item: planItem('datastore', 'not-permitted', values, sentence, { choice, needsChoice: true }) };
  }
  const conformity = datastore.name === captured.datastore.name ? 'fits' : 'changed';
  const sentence = conformity === 'fits' ? '' : `It is made on datastore "${datastore.name}" instead of "${captured.datastore.name}".`;
  return { datastore, item: planItem('datastore', conformity, values, sentence, { choice }) };
}

/** By the name somebody chose; else the captured one, by its id, or by its name where a vCenter was begun anew. */
export function policyMeant(
  captured: StoragePolicy | undefined,
  policies: readonly StoragePolicy[],
  asked: string | undefined,
): StoragePolicy | undefined {
  if (asked !== undefined) return policies.find(({ name }) => name === asked);
  return policies.find(({ id }) => id === captured?.id) ?? policies.find(({ name }) => name === captured?.name);
}

function rulePolicy(
  { storagePolicy }: FirstClassDiskCapture,
  { policies = [], compatible }: FirstClassDiskToday,
  datastore: DatastoreListing | undefined,
  asked: string | undefined,
): { policyId: string | undefined; item: PlanItem } {
  const options = [...optionsOf(policies.map(({ name }) => name)), { value: 'none', label: 'no storage policy' }];
  if (asked !== undefined) assertOption('storagePolicy', asked, options);
  const policy = policyMeant(storagePolicy, policies, asked);
  const fitsThere = policy === undefined || datastore === undefined || compatible.get(policy.id)?.includes(datastore.moRef) !== false;
  const chosen = fitsThere ? policy : undefined;
  const values = { captured: storagePolicy?.name ?? null, planned: chosen?.name ?? null };
  const choice = { field: 'storagePolicy', chosen: chosen?.name ?? 'none', options };
  const ruled = (conformity: PlanItem['conformity'], sentence: string) => ({
    policyId: chosen?.id,
    item: planItem('storagePolicy', conformity, values, sentence, { choice }),
  });
  if (!fitsThere)
    return ruled(
      'not-permitted',
      `Storage policy "${policy?.name}" cannot be kept on datastore "${datastore?.name}", so the disk gets none.`,
    );
  if (policy === undefined && asked === undefined && storagePolicy !== undefined)
    return ruled('missing', `Storage policy "${storagePolicy.name}" is not there any more, so the disk gets none.`);
  if (values.captured === values.planned) return ruled('fits', '');
  return ruled(
    'changed',
    `It has ${values.planned === null ? 'no storage policy' : `storage policy "${values.planned}"`} instead of ${values.captured === null ? 'none' : `"${values.captured}"`}.`,
  );
}

function ruleMetadata({ metadata }: FirstClassDiskCapture, { takesMetadata }: FirstClassDiskToday): PlanItem {
  const captured = Object.fromEntries(metadata.map(({ key, value }) => [key, value]));
  if (takesMetadata || metadata.length === 0) return planItem('metadata', 'fits', { captured, planned: captured });
  const sentence = `This vCenter takes no metadata of first class disks (7.0.2 and later do), so ${metadata.map(({ key }) => `"${key}"`).join(', ')} cannot be put back.`;
  return planItem('metadata', 'not-permitted', { captured, planned: {} }, sentence);
}

function sameOr(attribute: string, captured: unknown, planned: unknown, sentence: string): PlanItem {
  const same = captured === planned;
  return planItem(attribute, same ? 'fits' : 'changed', { captured, planned }, same ? '' : sentence);
}
