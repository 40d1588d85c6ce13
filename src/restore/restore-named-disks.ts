import { MIB, newId } from '../common/index.js';
import { matchNamedDisks, owe } from '../clouds/index.js';
import type { ObligationHandle } from '../jobs/index.js';
import { sameEntity } from '../vcd/index.js';
import { RestoreError } from './errors.js';
import { halfWrittenNamedDisk } from './half-written.js';
import { fillDisk } from './fill-disk.js';
import type { RestoreContext } from './modes/context.js';
import { assertRoomToGrow } from './room-to-grow.js';
import { nameWhileMaking } from './modes/take-the-name.js';
import { withoutTracking } from './pause-tracking.js';
import type { PlannedNamedDisk, PlannedVm } from './plan-types.js';
import { type RebuiltVm, trackAgain } from './rebuild-vm.js';
import { type HostMemory, withWriteAccess, type WritableDisks } from './write-access.js';

export interface RestoredNamedDisks {
  writtenBytes: number;
  /** Settled when the VM they are attached to is the tenant's. */
  debts: ObligationHandle[];
}

/** Those of VMs that were built and imported: their debts and bytes become the VMs'. @param hrefs captured VM id -> address */
export async function withNamedDisks(
  context: RestoreContext,
  vappHref: string,
  rebuilt: readonly RebuiltVm[],
  hrefs: ReadonlyMap<string, string>,
): Promise<void> {
  for (const vm of rebuilt) {
    const { planned } = vm;
    const href = hrefs.get(planned.captured.id);
    if (href === undefined || planned.namedDisks.length === 0) continue;
    // VCD has the VM by now and owes it with the vApp. Were it destroyed in vCenter, somebody's disk would go with it.
    if (planned.namedDisks.some((disk) => disk.existing !== undefined)) await vm.debt.settle();
    const { writtenBytes, debts } = await restoreNamedDisks(context, vappHref, { planned, href });
    vm.writtenBytes += writtenBytes;
    vm.diskDebts.push(...debts);
    const { vcenter } = context.plan;
    await trackAgain(vm, { vcenter, warn: context.run.warn.bind(context.run), signal: context.run.signal });
  }
}

/**
 * Gives a VM that is off and known to VCD its named disks back: made in the VDC, attached where they were, then found
 * in vSphere by their place and written as any disk. In this order, because only VCD makes a named disk, and only a VM
 * opens one for writing.
 *
 * @throws RestoreError DISK_MISMATCH; what VCD, vSphere, VDDK and the repository throw; what was made is owed.
 */
export async function restoreNamedDisks(
  context: RestoreContext,
  vappHref: string,
  vm: { planned: PlannedVm; href: string },
): Promise<RestoredNamedDisks> {
  const { planned } = vm;
  if (planned.namedDisks.length === 0) return { writtenBytes: 0, debts: [] };
  const debts: ObligationHandle[] = [];
  const attached: AttachedDisk[] = [];
  for (const disk of planned.namedDisks) {
    const { href, debt } = await provideDisk(context, disk);
    debts.push(debt);
    await debt.amend({ vappHref, vmHref: vm.href });
    await context.vcd.attachNamedDisk(vm.href, href, disk.place, context.run.signal);
    attached.push({ planned: disk, href });
  }
  return { writtenBytes: await writeAttached(context, vappHref, vm, attached), debts };
}

interface AttachedDisk {
  planned: PlannedNamedDisk;
  href: string;
}

/** Today's, or a new one: with everything it is to have while it is attached to nothing, as VCD wants it. */
async function provideDisk(context: RestoreContext, planned: PlannedNamedDisk): Promise<{ href: string; debt: ObligationHandle }> {
  const { name, description, metadata, owner } = planned.wanted;
  const provided =
    planned.existing === undefined ? await makeDisk(context, planned) : await borrowDisk(context, planned, planned.existing.href);
  await context.vcd.writeNamedDisk(
    provided.href,
    { name, metadata, ...(description !== undefined && { description }), ...(owner && { ownerHref: owner.href }) },
    context.run.signal,
  );
  return provided;
}

async function borrowDisk({ plan, cloud, run }: RestoreContext, { wanted }: PlannedNamedDisk, href: string) {
  const terms = { cloudId: cloud.cloudId, vdcHref: plan.vdc.href, diskName: wanted.name, diskHref: href, borrowed: true };
  return { href, debt: await owe(run.obligations, 'vcd.disk', terms) };
}

/** Under a name nobody else has: should we die before learning its address, it is found by it. */
async function makeDisk({ plan, cloud, vcd, run }: RestoreContext, { wanted, manifest }: PlannedNamedDisk) {
  const diskName = nameWhileMaking(wanted.name, newId());
  const debt = await owe(run.obligations, 'vcd.disk', { cloudId: cloud.cloudId, vdcHref: plan.vdc.href, diskName });
  const { busType, busSubType, sharingType, description, storageProfile } = wanted;
  const { href } = await vcd.createNamedDisk(
    plan.vdc.href,
    {
      name: diskName,
      // The bytes that were backed up decide, should VCD have counted otherwise.
      sizeMib: Math.ceil(manifest.capacityBytes / MIB),
      busType,
      ...(busSubType !== undefined && { busSubType }),
      ...(sharingType !== undefined && { sharingType }),
      ...(description !== undefined && { description }),
      ...(storageProfile && { storageProfileHref: storageProfile.href }),
    },
    run.signal,
  );
  await debt.amend({ diskHref: href });
  return { href, debt };
}

/** Which device a named disk became only the VM tells: VCD by bus and unit, vSphere by controller and unit. */
async function writeAttached(
  { plan, vcd, cloud, run, parts }: RestoreContext,
  vappHref: string,
  { planned, href }: { planned: PlannedVm; href: string },
  attached: readonly AttachedDisk[],
): Promise<number> {
  const { signal } = run;
  const name = planned.wanted.name;
  const captured = (await vcd.captureVapp(vappHref, signal)).vms.find((candidate) => sameEntity(candidate.href, href));
  if (captured === undefined) throw notFound(`VM "${name}" is not in its vApp any more`);
  const present = await plan.vcenter.readVm(captured.vim.vmMoRef, signal);
  const { disks, configXml } = present;
  const idByKey = matchNamedDisks(captured.disks, disks, configXml);
  const targets = attached.map((disk) => {
    const backing = disks.find(({ deviceKey }) => sameEntity(idByKey.get(deviceKey) ?? '', disk.href));
    if (backing === undefined)
      throw notFound(`Named disk "${disk.planned.wanted.name}" is attached to VM "${name}" and vCenter shows no device for it`);
    return { ...disk.planned, path: backing.path, thin: backing.thin, backing };
  });
  const warn = run.warn.bind(run);
  const options = { cloud, vcenter: plan.vcenter, vddk: parts.vddk, obligations: run.obligations, warn, log: run.log, signal };
  const fill = { repository: parts.repository, ref: plan.manifest, vddk: parts.vddk, progress: run.progress.bind(run), warn, signal };
  const write = async (host: HostMemory, connection: WritableDisks) => {
    const existing = targets.filter((target) => target.existing !== undefined);
    const growing = existing.map(({ manifest, path, thin }) => ({ captured: manifest, path, thin, changed: undefined }));
    await assertRoomToGrow(growing, connection, { ...options, ...fill, vm: { ...present, name } });
    let writtenBytes = 0;
    for (const { manifest, wanted, existing, path, backing } of targets) {
      const isEmpty = existing === undefined;
      if (!isEmpty) {
        const diskId = await parts.catalog.identifyDisk(planned.manifest.vmId, backing);
        await parts.catalog.markHalfWritten(diskId, run.runId, halfWrittenNamedDisk(wanted.name));
      }
      try {
        writtenBytes += await fillDisk(manifest, { path, vmName: name, isEmpty }, host, connection, fill);
      } catch (error) {
        if (!isEmpty) run.warn(halfWrittenNamedDisk(wanted.name));
        throw error;
      }
    }
    return writtenBytes;
  };
  // Whole disks: a VM that stayed what it was tracks changes, and a rebuilt one does not yet.
  return withoutTracking(present, options, () => withWriteAccess({ moRef: present.moRef, name }, options, write));
}

function notFound(what: string): RestoreError {
  return new RestoreError('DISK_MISMATCH', `${what}; look for what changed it, and restore again.`);
}
