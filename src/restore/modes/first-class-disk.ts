import { firstClassDiskUrn } from '../../catalog/index.js';
import { assertNoRevertOwed, type CloudSessions, firstClassDiskRecord, follows, type ObligationTerms, owe } from '../../clouds/index.js';
import { describeError, MIB, newId } from '../../common/index.js';
import type { ObligationHandle, RunContext } from '../../jobs/index.js';
import { type FirstClassDisk, VsphereError } from '../../vsphere/index.js';
import { compareFirstClassDisk } from '../compare-first-class-disk.js';
import type { RestoreParts } from '../parts.js';
import type { ComparedAttribute, FirstClassDiskPlan } from '../plan-types.js';
import { deviationsOf, differencesOf } from '../restore-result.js';
import type { RestorePayload } from '../restore-request.js';
import { type BlocksToWrite, blocksToOverwrite, type WriteParts, writeFirstClassDisk } from '../write-first-class-disk.js';

export interface FirstClassDiskContext {
  plan: FirstClassDiskPlan;
  payload: RestorePayload;
  run: RunContext;
  parts: RestoreParts;
  cloud: CloudSessions;
}

const SNAPSHOT_TIMEOUT_MS = 15 * 60_000;

/** What was written, and what is owed until the restore has its aim. */
interface Written {
  disk: FirstClassDisk;
  writtenBytes: number;
  blocks: BlocksToWrite;
  debt: ObligationHandle;
  /** Owed from then on. */
  next?: ObligationTerms['vsphere.disk-snapshot'];
}

/**
 * A first class disk onto a datastore: made anew, or written over the one that is there. A new one is owed to the end, so a
 * restore that fails or dies leaves nothing half-made; one that is written over has a snapshot below it, to which it goes
 * back then.
 */
export async function restoreFirstClassDisk(context: FirstClassDiskContext): Promise<Record<string, unknown>> {
  const { plan, run, cloud, parts } = context;
  const { vcenter } = plan;
  const written = plan.target === 'new' ? await makeAnew(context) : await writeOver(context);
  await run.step('Put back name and settings', () => putBack(context, written.disk));
  const { now, attributes } = await run.step('Compare with the restore point', () => compare(context, written.disk));
  const { blocks, writtenBytes } = written;
  const result = {
    diskId: now.id,
    diskName: now.name,
    datastoreName: plan.wanted.datastoreName,
    vcenterInstanceUuid: vcenter.instanceUuid,
    blocks: blocks.kind,
    reason: blocks.kind === 'whole' ? blocks.reason : null,
    writtenBytes,
    deviations: deviationsOf({ items: plan.items, keepMacAddresses: true }),
    differences: differencesOf(attributes),
    comparison: attributes,
  };
  const [snapshot] = await run.step('Hand over', async () => {
    if (plan.keepIdentity)
      await parts.catalog.addVappAlias(plan.content.vapp.id, cloud.cloudId, firstClassDiskUrn(vcenter.instanceUuid, now.id));
    await parts.catalog.saveFirstClassDisk(cloud.cloudId, vcenter.instanceUuid, firstClassDiskRecord(now, plan.wanted.datastoreName, []));
    return run.commit(result, [written.debt], written.next ? [follows('vsphere.disk-snapshot', written.next)] : []);
  });
  if (snapshot !== undefined) await removeSnapshot(context, snapshot);
  return result;
}

async function makeAnew(context: FirstClassDiskContext): Promise<Written> {
  const { plan, run, cloud } = context;
  const { vcenter, wanted, captured } = plan;
  // Nobody else has the name: should we die before learning its id, the disk is found by it.
  const diskName = `${wanted.name.slice(0, 40)}-${newId()}`;
  const { disk, debt } = await run.step('Create the disk', async () => {
    const place = { cloudId: cloud.cloudId, vcenterInstanceUuid: vcenter.instanceUuid, datastoreMoRef: wanted.datastoreMoRef };
    const owed = await owe(run.obligations, 'vsphere.disk', { ...place, diskName });
    const { datastoreMoRef, provisioning, policyId, metadata } = wanted;
    const made = await vcenter.firstClassDisks.create(
      {
        name: diskName,
        // The bytes that were backed up decide: vSphere counts them in MiB, rounded down.
        capacityMib: Math.ceil(plan.disk.capacityBytes / MIB),
        keepAfterDeleteVm: captured.keepAfterDeleteVm,
        ...{ datastoreMoRef, provisioning, policyId, metadata },
      },
      run.signal,
    );
    await owed.amend({ diskId: made.id });
    return { disk: made, debt: owed };
  });
  const blocks: BlocksToWrite = { kind: 'empty' };
  const writtenBytes = await run.step('Write the disk', () => write(context, disk, blocks));
  return { disk, writtenBytes, blocks, debt };
}

/** @throws CloudError DISK_REVERT_OWED. */
async function writeOver(context: FirstClassDiskContext): Promise<Written> {
  const { plan, run, cloud, parts } = context;
  const { vcenter, original: disk } = plan;
  if (disk === undefined) throw new Error('A plan to write over a first class disk names the one that is there');
  const terms: ObligationTerms['vsphere.disk-snapshot'] = {
    cloudId: cloud.cloudId,
    vcenterInstanceUuid: vcenter.instanceUuid,
    datastoreMoRef: disk.datastoreMoRef,
    diskId: disk.id,
    diskName: disk.name,
    description: `vApp Vault restore ${newId()}`,
  };
  const { debt, blocks } = await run.step('Snapshot the disk as it is', async () => {
    await assertNoRevertOwed(disk, vcenter.instanceUuid, (owed) => parts.debts.oldestUnpaid(owed));
    const owed = await owe(run.obligations, 'vsphere.disk-snapshot', { ...terms, revert: true });
    // Without the signal: once vCenter was asked, the snapshot comes, and paying looks for it.
    const { id } = await vcenter.firstClassDisks.createSnapshot(disk, terms.description, SNAPSHOT_TIMEOUT_MS);
    return { debt: owed, blocks: await blocksToOverwrite(plan.disk, disk, id, vcenter, run.signal) };
  });
  const writtenBytes = await run.step('Write over the disk', () => write(context, disk, blocks));
  return { disk, writtenBytes, blocks, debt, next: terms };
}

function write({ plan, run, parts }: FirstClassDiskContext, disk: FirstClassDisk, blocks: BlocksToWrite): Promise<number> {
  const { vcenter, manifest, wanted } = plan;
  const writing: WriteParts = { vcenter, vddk: parts.vddk, repository: parts.repository, ref: manifest, run };
  return writeFirstClassDisk({ captured: plan.disk, disk, datastoreType: wanted.datastoreType, blocks }, writing);
}

/** What creating has no parameter for; of a disk that was written over all that may have changed. */
async function putBack({ plan, run }: FirstClassDiskContext, disk: FirstClassDisk): Promise<void> {
  const { vcenter, captured, wanted } = plan;
  const { firstClassDisks } = vcenter;
  const { signal } = run;
  const present = await firstClassDisks.read(disk, signal);
  if (captured.changeTrackingEnabled && !present.changeTrackingEnabled)
    await firstClassDisks.setFlag(disk, 'enableChangedBlockTracking', true, signal);
  if (captured.keepAfterDeleteVm !== present.keepAfterDeleteVm)
    await firstClassDisks.setFlag(disk, 'keepAfterDeleteVm', captured.keepAfterDeleteVm, signal);
  const { write: changed, remove } = metadataChange(present.metadata, wanted.metadata);
  if (changed.length + remove.length > 0) await firstClassDisks.writeMetadata(disk, changed, remove, signal);
  if (present.name !== wanted.name) await firstClassDisks.rename(disk, wanted.name, signal);
}

type Entries = readonly { key: string; value: string }[];

function metadataChange(present: Entries, wanted: Entries) {
  const keys = new Set(wanted.map(({ key }) => key));
  const before = new Map(present.map(({ key, value }) => [key, value]));
  return {
    write: wanted.filter(({ key, value }) => before.get(key) !== value),
    remove: present.flatMap(({ key }) => (keys.has(key) ? [] : [key])),
  };
}

async function compare(
  context: FirstClassDiskContext,
  disk: FirstClassDisk,
): Promise<{ now: FirstClassDisk; attributes: ComparedAttribute[] }> {
  const { plan, run } = context;
  const now = await plan.vcenter.firstClassDisks.read(disk, run.signal);
  const attributes = compareFirstClassDisk(plan, now, {
    datastoreName: plan.wanted.datastoreName,
    storagePolicy: await policyNameOf(context, disk),
  });
  for (const { attribute, captured, now: value, equal, why } of attributes) {
    if (equal || why !== null) continue;
    run.warn(
      `First class disk "${plan.wanted.name}": ${attribute} is ${JSON.stringify(value)}, the restore point has ${JSON.stringify(captured)}.`,
    );
  }
  return { now, attributes };
}

/** Null where it has none, and where vCenter does not tell. */
async function policyNameOf({ plan, run }: FirstClassDiskContext, { id }: FirstClassDisk): Promise<string | null> {
  try {
    return (await plan.vcenter.storagePolicies.ofFirstClassDisk(id, run.signal))?.name ?? null;
  } catch (error) {
    if (error instanceof VsphereError) return null;
    throw error;
  }
}

/** The disk is restored whatever becomes of this; it is tried again after the run's end. */
async function removeSnapshot({ run, plan }: FirstClassDiskContext, debt: ObligationHandle): Promise<void> {
  try {
    await run.step('Remove the snapshot', () => debt.pay());
  } catch (error) {
    if (run.signal.aborted) throw error;
    run.warn(`First class disk "${plan.wanted.name}" is restored, and the snapshot below it is still there: ${describeError(error)}`);
  }
}
