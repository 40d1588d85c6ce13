import type { FirstClassDisk } from '../vsphere/index.js';
import type { ComparedAttribute, FirstClassDiskPlan } from './plan-types.js';
import { reasonFor } from './restore-result.js';

/** Each attribute as captured and as it is now, with the plan's sentence where they differ. */
export function compareFirstClassDisk(
  { captured, items }: Pick<FirstClassDiskPlan, 'captured' | 'items'>,
  now: FirstClassDisk,
  { datastoreName, storagePolicy }: { datastoreName: string; storagePolicy: string | null },
): ComparedAttribute[] {
  const pairs: [attribute: string, captured: unknown, now: unknown][] = [
    ['name', captured.name, now.name],
    ['capacityBytes', captured.capacityBytes, now.capacityBytes],
    ['datastore', captured.datastore.name, datastoreName],
    ['provisioning', captured.provisioning, now.provisioning],
    ['storagePolicy', captured.storagePolicy?.name ?? null, storagePolicy],
    ['keepAfterDeleteVm', captured.keepAfterDeleteVm, now.keepAfterDeleteVm],
    ['changeTracking', captured.changeTrackingEnabled, now.changeTrackingEnabled],
    ['encrypted', captured.encrypted, now.encrypted],
    ['metadata', byKey(captured.metadata), byKey(now.metadata)],
  ];
  return pairs.map(([attribute, then, today]) => {
    const equal = JSON.stringify(then) === JSON.stringify(today);
    return { attribute, captured: then, now: today, equal, why: equal ? null : reasonFor(attribute, items) };
  });
}

function byKey(entries: readonly { key: string; value: string }[]): Record<string, string> {
  return Object.fromEntries([...entries].sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ key, value }) => [key, value]));
}
