import type { CatalogApi } from '../../catalog/index.js';
import { type CloudSessions, usersOf } from '../../clouds/index.js';
import type { RepositoryApi } from '../../repository/index.js';
import {
  type FirstClassDisk,
  type FirstClassDiskCapture,
  type StoragePolicy,
  type VsphereClientApi,
  VsphereError,
} from '../../vsphere/index.js';
import { RestoreError } from '../errors.js';
import type { FirstClassDiskPlan, RestorePlanView } from '../plan-types.js';
import type { RestorePayload } from '../restore-request.js';
import { countItems } from './plan-view.js';
import { readPoint } from './read-point.js';
import { type FirstClassDiskToday, policyMeant, ruleFirstClassDisk } from './rule-first-class-disk.js';

export interface FirstClassDiskParts {
  cloud: CloudSessions;
  repository: Pick<RepositoryApi, 'readManifest' | 'readDocument'>;
  catalog: Pick<CatalogApi, 'firstClassDisk'>;
}

/**
 * The restore of a first class disk held against its vCenter of today; it only reads.
 * @throws RestoreError RESTORE_REQUEST_INVALID, CHOICE_INVALID, RESTORE_POINT_UNREADABLE; CloudError; RepositoryError; VsphereError
 */
export async function planFirstClassDisk(
  payload: RestorePayload,
  parts: FirstClassDiskParts,
  signal: AbortSignal,
): Promise<FirstClassDiskPlan> {
  assertDiskTakes(payload);
  const point = await readPoint(payload, parts.repository, signal);
  const { manifest, content } = point;
  const { firstClassDisk: disk } = content;
  // A restore point of a first class disk keeps its capture where others keep a VappCapture (ManifestContent).
  const captured = point.captured as unknown as FirstClassDiskCapture;
  if (disk === undefined || captured.kind !== 'first-class-disk') {
    throw new RestoreError('RESTORE_POINT_UNREADABLE', `Restore point ${payload.restorePointId} holds no first class disk.`);
  }
  const vcenter = await parts.cloud.vcenter(captured.vcenterInstanceUuid, signal);
  // After a restore the catalog knows the disk by another id than this restore point does.
  const known = await parts.catalog.firstClassDisk(content.vapp.id);
  const original = await vcenter.firstClassDisks.find(
    known?.diskId ?? captured.diskId,
    known?.datastoreMoRef ?? captured.datastore.moRef,
    signal,
  );
  const today = await examine(vcenter, original, { captured: captured.storagePolicy, asked: payload.choices.storagePolicy }, signal);
  const ruled = ruleFirstClassDisk(captured, disk, today, payload);
  const keepIdentity = ruled.target === 'overwrite' || original === undefined;
  return { payload, manifest, content, disk, captured, vcenter, original, keepIdentity, ...ruled };
}

/** The plan as a person sees it. */
export function firstClassDiskPlanView(plan: FirstClassDiskPlan): RestorePlanView {
  return {
    restorePointId: plan.payload.restorePointId,
    mode: plan.payload.mode,
    vappName: plan.wanted.name,
    organizationName: plan.content.organization.name,
    vdcName: plan.content.vdc.name,
    catalogName: null,
    canStart: plan.items.every((item) => !item.needsChoice),
    vms: [],
    removals: [],
    counts: countItems(plan.items),
    items: plan.items,
  };
}

const FIELDS_OF_VCD = ['vappId', 'vms', 'disk', 'organizationId', 'vdcId', 'catalogId'] as const;

/** @throws RestoreError RESTORE_REQUEST_INVALID where a field has no meaning for what VCD knows nothing of. */
function assertDiskTakes(payload: RestorePayload): void {
  const field = FIELDS_OF_VCD.find((name) => payload[name] !== undefined) ?? (payload.powerOn ? 'powerOn' : undefined);
  if (field === undefined) return;
  throw new RestoreError(
    'RESTORE_REQUEST_INVALID',
    `Mode first-class-disk takes no ${field}: it is restored in vCenter, without VCD and without a VM.`,
    {
      field,
      mode: 'first-class-disk',
    },
  );
}

/** Since when VslmCreateSpec has them. */
const METADATA_SINCE = [7, 0, 2];

async function examine(
  vcenter: VsphereClientApi,
  original: FirstClassDisk | undefined,
  policy: { captured: StoragePolicy | undefined; asked: string | undefined },
  signal: AbortSignal,
): Promise<FirstClassDiskToday> {
  const datastores = (await vcenter.survey.datastores(signal)).filter(({ accessible }) => accessible);
  const policies = await policiesOf(vcenter, signal);
  const compatible = new Map<string, string[]>();
  const moRefs = datastores.map(({ moRef }) => moRef);
  const meant = policyMeant(policy.captured, policies ?? [], policy.asked);
  if (meant !== undefined) compatible.set(meant.id, await vcenter.storagePolicies.compatibleDatastores(meant.id, moRefs, signal));
  const attachments = original && (await vcenter.firstClassDisks.attachments([original], signal)).get(original.id);
  return {
    datastores,
    policies,
    compatible,
    original,
    users: original === undefined ? [] : usersOf(original, attachments ?? []),
    takesMetadata: isAtLeast(vcenter.apiVersion, METADATA_SINCE),
  };
}

async function policiesOf(vcenter: Pick<VsphereClientApi, 'storagePolicies'>, signal: AbortSignal): Promise<StoragePolicy[] | undefined> {
  try {
    return await vcenter.storagePolicies.list(signal);
  } catch (error) {
    if (error instanceof VsphereError) return undefined;
    throw error;
  }
}

function isAtLeast(version: string, wanted: readonly number[]): boolean {
  const parts = version.split('.').map(Number);
  for (const [i, number] of wanted.entries()) {
    const part = parts[i] ?? 0;
    if (part !== number) return part > number;
  }
  return true;
}
