import { type ManifestContent, type ManifestVm, restorePointRow, subjectOf } from '../catalog/index.js';
import type { RunContext } from '../jobs/index.js';
import { type BackupPayload, backupSettingsSchema } from './backup-settings.js';
import type { BackupSource, BackupWork, CopiedData, Degradation, SourceCapture } from './backup-source.js';
import { backupResult } from './conclude-lost.js';
import { dateRestorePoint } from './date-restore-point.js';
import { BackupError } from './errors.js';
import { firstClassDiskSource } from './first-class-disk-source.js';
import type { MaintenanceMode } from './maintenance.js';
import { mediumSource } from './medium-source.js';
import type { BackupParts } from './parts.js';
import { StableCapture } from './stable-capture.js';
import { templateSource, vappSource } from './vapp-source.js';

/** One backup of one vApp, standalone VM, vApp template, medium or first class disk. */
export async function runBackup(asked: BackupPayload, run: RunContext, parts: BackupParts): Promise<Record<string, unknown>> {
  // Asked for before an update of the service, it lacks what settings there are since.
  const payload = { ...asked, settings: backupSettingsSchema.parse(asked.settings) };
  const vapp = await parts.catalog.vapp(payload.vappId);
  if (vapp === undefined) throw new BackupError('VAPP_NOT_FOUND', `There is no vApp with id ${payload.vappId} in the catalog.`);
  const cloud = await parts.sessions(vapp.cloudId);
  const session = await parts.repository.beginSession(vapp.organizationId, payload.restorePointId, run.signal);
  const warnings: string[] = [];
  const warn = (message: string) => {
    warnings.push(message);
    run.warn(message);
  };
  const degradation: Degradation = { consolidationFailed: new Set(), halfWritten: new Set() };
  const work: BackupWork = { vapp, cloud, session, payload, run, parts, warn, degradation };
  try {
    if (vapp.kind === 'first-class-disk') return await backUp(firstClassDiskSource(work), work, warnings);
    const inVcd = { ...work, vcd: await cloud.vcd(run.signal) };
    if (vapp.kind === 'media') return await backUp(mediumSource(inVcd), work, warnings);
    return await backUp(vapp.kind === 'vapp-template' ? templateSource(inVcd) : vappSource(inVcd), work, warnings);
  } finally {
    await session.abandon();
  }
}

/**
 * The guide's nine steps (chapter 8, "To back up a vApp"), read from top to bottom; what a template or a medium
 * does in another way, or does not need, is its source's. Whatever fails, the run's obligations undo what was
 * done to the cloud; nothing is visible in the repository before `publish`.
 */
async function backUp<C extends SourceCapture>(
  source: BackupSource<C>,
  work: BackupWork,
  warnings: string[],
): Promise<Record<string, unknown>> {
  const { run, payload, session, parts } = work;
  const { settings, restorePointId } = payload;
  const maintenance = source.enterMaintenance && (await run.step('Enter maintenance mode', source.enterMaintenance));
  await run.step('Wait for running tasks', () => source.waitForTasks(settings.taskWaitMinutes * 60_000));

  const stable = new StableCapture(source, run.log);
  const confirm = (capture: C) => run.step(`Check that the ${source.noun} did not change`, () => stable.confirm(capture));

  /** Description and data of one moment; undefined when the data was changed meanwhile and it must be done again. */
  const captureAndCopy = async () => {
    let capture: C | undefined = await run.step(`Capture the ${source.noun}`, () => source.capture());
    const before = capture;
    const from = new Date();
    const held = await source.hold(before);
    const taken = { from, until: new Date() };
    const confirmsEarly = held.frozen && settings.maintenance === 'until-snapshots';
    if (confirmsEarly) {
      // Before maintenance mode is left: afterwards its tenants may change it.
      capture = await confirm(before);
      if (capture !== undefined && maintenance) await run.step('Leave maintenance mode', () => maintenance.leave());
    }
    const copied = capture && (await held.copy());
    await held.release();
    if (!confirmsEarly) capture = await confirm(before);
    return capture && copied && { capture, copied, taken: held.frozen ? taken : undefined };
  };
  // A second change makes `confirm` throw, so there is no third time.
  const point = (await captureAndCopy()) ?? (await captureAndCopy());
  if (point === undefined) throw stable.changed(work.vapp.name);

  for (const vm of point.copied.vms) await tellHalfWritten(vm, work);
  const createdAt = momentOf(point, work);
  const content = await describe(point.capture, point.copied, createdAt, work, maintenance, warnings);
  await run.step('Publish the restore point', async () => {
    const locked = content.lockedUntil !== undefined && { lockedUntil: content.lockedUntil };
    await session.publish({ createdAt, ...locked, disks: disksOf(content), documents: documentsOf(content), content }, run.signal);
    // After the manifest: the database follows the repository, it never leads (plan, promise 1).
    await parts.catalog.recordRestorePoint(restorePointRow(restorePointId, createdAt, content));
  });
  const result = { ...backupResult(restorePointId, content), ...namesOf(work.degradation) };
  await run.commit(result, []);

  if (maintenance && settings.maintenance === 'whole-run') await run.step('Leave maintenance mode', () => maintenance.leave());
  return result;
}

/** Of what no snapshot froze, the time is this service's own. */
function momentOf({ copied, taken }: { copied: CopiedData; taken: { from: Date; until: Date } | undefined }, { vapp, warn }: BackupWork) {
  const { lastAt } = copied.snapshots;
  if (taken === undefined) return lastAt;
  const { createdAt, warning } = dateRestorePoint(lastAt, taken, subjectOf(vapp));
  if (warning !== undefined) warn(warning);
  return createdAt;
}

/** A restore that came to nothing cannot undo what it wrote, and nobody should take that for a good restore point. */
async function tellHalfWritten({ name, disks }: ManifestVm, { parts, warn, degradation }: BackupWork): Promise<void> {
  const found = await parts.catalog.halfWritten(disks.map(({ diskId }) => diskId));
  for (const { diskId, label } of disks) {
    const runId = found.get(diskId);
    if (runId === undefined) continue;
    degradation.halfWritten.add(`${label} of VM "${name}"`);
    warn(
      `${label} of VM "${name}" is in this restore point as a restore that came to nothing left it (run ${runId}); ` +
        'restore the VM again, or from an earlier restore point.',
    );
  }
}

function namesOf({ consolidationFailed, halfWritten }: Degradation): Record<string, string[]> {
  return {
    ...(consolidationFailed.size > 0 && { consolidationFailed: [...consolidationFailed] }),
    ...(halfWritten.size > 0 && { halfWritten: [...halfWritten] }),
  };
}

async function describe(
  capture: SourceCapture,
  copied: CopiedData,
  createdAt: string,
  { vapp, cloud, session, run, payload }: BackupWork,
  maintenance: MaintenanceMode | undefined,
  warnings: string[],
): Promise<ManifestContent> {
  const heldOpen = maintenance?.describe();
  return {
    contentVersion: 1,
    runId: run.runId,
    kind: isIncremental(copied) ? 'incremental' : 'full',
    cloud: { id: cloud.cloudId, name: cloud.cloudName },
    organization: { id: vapp.organizationId, name: vapp.organizationName },
    vdc: { id: vapp.vdcId, name: vapp.vdcName },
    vapp: { id: vapp.id, vcloudId: capture.id, name: capture.name },
    sourceKind: vapp.kind,
    vappCaptureDocument: await session.putDocument(Buffer.from(JSON.stringify(capture)), run.signal),
    ...(heldOpen && { maintenance: heldOpen }),
    // Not a restore point of the whole vApp: retention and RPO count on one that is.
    ...((payload.retries || copied.excludedVms?.some((vm) => vm.failed)) && { complete: false }),
    ...(payload.retries && { completes: payload.retries.restorePointId }),
    ...lockOf(payload.settings.lockDays, createdAt),
    ...copied,
    warnings,
  };
}

function lockOf(days: number, createdAt: string): { lockedUntil?: string } {
  return days === 0 ? {} : { lockedUntil: new Date(Date.parse(createdAt) + days * 24 * 60 * 60_000).toISOString() };
}

function isIncremental({ vms, firstClassDisk }: CopiedData): boolean {
  return [...vms.flatMap((vm) => vm.disks), ...(firstClassDisk ? [firstClassDisk] : [])].some(({ kind }) => kind === 'incremental');
}

function disksOf({ vms, medium, firstClassDisk }: ManifestContent) {
  const disks = [...vms.flatMap((vm) => vm.disks), ...(medium ? [medium] : []), ...(firstClassDisk ? [firstClassDisk] : [])];
  return disks.map(({ diskId, indexId, capacityBytes, chunkBytes }) => ({ diskId, indexId, capacityBytes, chunkBytes }));
}

function documentsOf({ vappCaptureDocument, vms }: ManifestContent): string[] {
  const ofVm = ({ configurationDocument, nvramDocument, quiescing }: ManifestVm) =>
    [configurationDocument, nvramDocument, quiescing?.vssManifestDocument].filter((document) => typeof document === 'string');
  return [vappCaptureDocument, ...vms.flatMap(ofVm)];
}
