import { MIB, type XmlElement } from '../common/index.js';
import { type DiskProvisioning, type DiskSnapshot, type FirstClassDisk, PROVISIONINGS } from './first-class-disk-types.js';
import { integerOf, isTrue, referenceOf } from './vim-xml.js';

/** @param object VStorageObject; undefined where it says too little to be worked with. */
export function readDisk(object: XmlElement | undefined): FirstClassDisk | undefined {
  const config = object?.child('config');
  const backing = config?.child('backing');
  const id = config?.textAt('id', 'id');
  const datastoreMoRef = referenceOf(backing?.child('datastore'))?.value;
  const capacityMib = integerOf(config?.child('capacityInMB'));
  if (config === undefined || id === undefined || datastoreMoRef === undefined || capacityMib === undefined) return undefined;
  return {
    id,
    datastoreMoRef,
    name: config.textAt('name') ?? id,
    createdAt: config.textAt('createTime') ?? '',
    path: backing?.textAt('filePath') ?? '',
    parentPaths: parentsOf(backing),
    capacityBytes: capacityMib * MIB,
    provisioning: provisioningOf(backing?.textAt('provisioningType')),
    changeTrackingEnabled: isTrue(config.child('changedBlockTrackingEnabled')),
    // "Default value is true" (VslmCreateSpec.keepAfterDeleteVm).
    keepAfterDeleteVm: config.child('keepAfterDeleteVm') === undefined || isTrue(config.child('keepAfterDeleteVm')),
    encrypted: backing?.child('keyId') !== undefined,
    metadata: config.childrenNamed('metadata').map((entry) => ({ key: entry.textAt('key') ?? '', value: entry.textAt('value') ?? '' })),
    consumerIds: config.childrenNamed('consumerId').flatMap((consumer) => consumer.textAt('id') ?? []),
  };
}

/** @param snapshot VStorageObjectSnapshotInfoVStorageObjectSnapshot; empty where it has no id. */
export function readSnapshot(snapshot: XmlElement): DiskSnapshot[] {
  const id = snapshot.textAt('id', 'id');
  if (id === undefined) return [];
  return [{ id, description: snapshot.textAt('description') ?? '', createdAt: snapshot.textAt('createTime') ?? '' }];
}

function parentsOf(backing: XmlElement | undefined): string[] {
  const paths: string[] = [];
  for (let parent = backing?.child('parent'); parent !== undefined; parent = parent.child('parent'))
    paths.push(parent.textAt('filePath') ?? '');
  return paths;
}

/** Absent on datastores that know no difference, where a thin one costs least. */
function provisioningOf(text: string | undefined): DiskProvisioning {
  return PROVISIONINGS.find((known) => known === text) ?? 'thin';
}
