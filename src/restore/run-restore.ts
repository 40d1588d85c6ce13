import type { ManifestDisk } from '../catalog/index.js';
import type { RunContext } from '../jobs/index.js';
import { RestoreError } from './errors.js';
import { restoreAsNewVapp } from './modes/build-vapp.js';
import type { RestoreContext } from './modes/context.js';
import { type FirstClassDiskContext, restoreFirstClassDisk } from './modes/first-class-disk.js';
import { restoreIntoVapp } from './modes/into-vapp.js';
import { type MediumContext, restoreMedium } from './modes/medium.js';
import { recreateVapp } from './modes/recreate-vapp.js';
import { restoreTemplate } from './modes/template.js';
import { deviationsOf } from './restore-result.js';
import type { RestoreParts } from './parts.js';
import { assertCanStart, planFirstClassDisk, planMedium, planRestore } from './plan/index.js';
import type { PlannedVm } from './plan-types.js';
import type { RestorePayload } from './restore-request.js';

type Mode = (context: RestoreContext) => Promise<Record<string, unknown>>;

const MODES: Record<Exclude<RestorePayload['mode'], 'medium' | 'first-class-disk'>, Mode> = {
  'missing-vapp': restoreAsNewVapp,
  copy: restoreAsNewVapp,
  recreate: recreateVapp,
  overwrite: restoreIntoVapp,
  vms: restoreIntoVapp,
  disk: restoreIntoVapp,
  template: restoreTemplate,
};

/** One restore: the plan against the cloud of today, what the mode does with it, and a comparison with what was captured. */
export async function runRestore(payload: RestorePayload, run: RunContext, parts: RestoreParts): Promise<Record<string, unknown>> {
  const { signal } = run;
  const row = await parts.catalog.restorePointToRead(payload.restorePointId);
  if (row === undefined) throw new RestoreError('RESTORE_POINT_NOT_FOUND', `There is no restore point ${payload.restorePointId}.`);
  const cloud = await parts.sessions(row.cloudId);
  const { mode } = payload;
  if (mode === 'first-class-disk') return runFirstClassDiskRestore({ payload, run, parts, cloud });
  const vcd = await cloud.vcd(signal);
  if (mode === 'medium') return runMediumRestore({ payload, run, parts, cloud, vcd });
  const plan = await run.step('Plan against the cloud of today', async () => {
    const made = await planRestore(payload, { cloud, vcd, repository: parts.repository, catalog: parts.catalog }, signal);
    assertCanStart(made);
    return made;
  });
  for (const sentence of deviationsOf(plan)) run.warn(sentence);
  for (const [vmName, labels] of disksToWrite(plan.vms)) run.expect(vmName, labels);
  return MODES[mode]({ plan, payload, run, parts, cloud, vcd });
}

/** By the name under which a VM's progress is told. */
function disksToWrite(vms: readonly PlannedVm[]): Map<string, string[]> {
  const labels = new Map<string, string[]>();
  const add = (vmName: string, disks: readonly ManifestDisk[]) => {
    if (disks.length > 0) labels.set(vmName, [...(labels.get(vmName) ?? []), ...disks.map(({ label }) => label)]);
  };
  for (const { action, manifest, wanted, disks, namedDisks } of vms) {
    add(action === 'overwrite' ? wanted.name : manifest.name, disks);
    add(
      wanted.name,
      namedDisks.map((disk) => disk.manifest),
    );
  }
  return labels;
}

/** VCD has no part in it, and there is no VM. */
async function runFirstClassDiskRestore(context: Omit<FirstClassDiskContext, 'plan'>): Promise<Record<string, unknown>> {
  const { payload, run, parts, cloud } = context;
  const plan = await run.step('Plan against the vCenter of today', async () => {
    const made = await planFirstClassDisk(payload, { cloud, repository: parts.repository, catalog: parts.catalog }, run.signal);
    assertCanStart(made);
    return made;
  });
  for (const sentence of deviationsOf({ items: plan.items, keepMacAddresses: true })) run.warn(sentence);
  return restoreFirstClassDisk({ ...context, plan });
}

/** A medium has no VM: of the steps above it has the first only. */
async function runMediumRestore(context: Omit<MediumContext, 'plan'>): Promise<Record<string, unknown>> {
  const { payload, run, parts, vcd } = context;
  const plan = await run.step('Plan against the cloud of today', async () => {
    const made = await planMedium(payload, { vcd, repository: parts.repository, catalog: parts.catalog }, run.signal);
    assertCanStart(made);
    return made;
  });
  for (const sentence of deviationsOf({ items: plan.items, keepMacAddresses: true })) run.warn(sentence);
  return restoreMedium({ ...context, plan });
}
