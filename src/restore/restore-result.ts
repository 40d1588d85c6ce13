import { compareVappAttributes, type VappCapture } from '../vcd/index.js';
import type { RestoreContext } from './modes/context.js';
import type { ComparedAttribute, PlanItem, RestorePlan } from './plan-types.js';
import { isOfVms, rulesOf } from './plan/index.js';
import type { RebuiltVm } from './rebuild-vm.js';

export interface Comparison {
  now: VappCapture;
  attributes: ComparedAttribute[];
}

/** Each attribute of what was restored, as captured and as it is now; those that differ without the plan having said so become warnings. */
export async function compareWithPoint(
  { plan, run, vcd }: RestoreContext,
  href: string,
  restored: { noun: string; read: (href: string, signal: AbortSignal) => Promise<VappCapture> } = {
    noun: 'vApp',
    read: (vappHref, signal) => vcd.captureVapp(vappHref, signal),
  },
): Promise<Comparison> {
  return run.step('Compare with the restore point', async () => {
    const now = await restored.read(href, run.signal);
    const attributes = compareAttributes(plan, now);
    for (const { attribute, captured, now: value, why } of attributes.filter(({ equal }) => !equal)) {
      if (why === null)
        run.warn(
          `${restored.noun} "${plan.vappName}": ${attribute} is ${JSON.stringify(value)}, the restore point has ${JSON.stringify(captured)}.`,
        );
    }
    return { now, attributes };
  });
}

export function compareAttributes(plan: RestorePlan, now: VappCapture): ComparedAttribute[] {
  const restored = new Set(plan.vms.map((vm) => vm.wanted.name));
  const expected: VappCapture = {
    ...plan.captured,
    vms: plan.vms.map((vm) => ({ ...vm.captured, name: vm.wanted.name })),
    startup: plan.wanted.startup,
    ...(plan.captured.affinityRules && { affinityRules: rulesOf(plan.captured.affinityRules, namesById(plan)) }),
  };
  const vms = now.vms.filter((vm) => restored.has(vm.name));
  const actual: VappCapture = {
    ...now,
    vms,
    startup: now.startup.filter((item) => restored.has(item.vmName)),
    ...(now.affinityRules && { affinityRules: rulesOf(now.affinityRules, new Map(vms.map(({ id, name }) => [id, name]))) }),
  };
  return compareVappAttributes(expected, actual, {
    ignoreName: plan.standalone || plan.vappName !== plan.captured.name,
    ignoreMacAddresses: !plan.keepMacAddresses,
  })
    .filter(({ path }) => plan.putBackVapp || isOfVms(path))
    .filter(() => plan.payload.mode !== 'disk')
    .map(({ path, expected: captured, actual: value, equal }) => ({
      attribute: path,
      captured,
      now: value,
      equal,
      why: equal ? null : reasonFor(path, plan.items),
    }));
}

function namesById({ vms }: RestorePlan): Map<string, string> {
  return new Map(vms.map(({ captured, wanted }) => [captured.id, wanted.name]));
}

/** The plan's own sentence for that attribute, or for what it is part of. */
export function reasonFor(path: string, items: readonly PlanItem[]): string | null {
  const said = items.filter((item) => item.conformity !== 'fits' && item.explanation !== '');
  const found = said.find(
    (item) => path === item.attribute || path.startsWith(`${item.attribute}.`) || item.attribute.startsWith(`${path}.`),
  );
  return found?.explanation ?? null;
}

/** Changed by a field of the request alone. */
const ASKED: ReadonlySet<string> = new Set(['name', 'catalogEntry.name', 'existingItem', 'vdc']);

/** What will not be as it was, one sentence each; not what the mode means or the request asks for by itself. */
export function deviationsOf(plan: Pick<RestorePlan, 'items' | 'keepMacAddresses'>): string[] {
  const asked = ({ attribute, conformity }: PlanItem) =>
    conformity === 'changed' &&
    (ASKED.has(attribute) || attribute.endsWith('.instanceUuid') || (!plan.keepMacAddresses && attribute.endsWith('.macAddress')));
  const said = plan.items.filter((item) => item.conformity !== 'fits' && item.explanation !== '' && !asked(item));
  // One sentence may stand for all that is below an attribute.
  return [...new Set(said.map((item) => item.explanation))];
}

export function restoreResult(
  { plan }: RestoreContext,
  { now, attributes }: Comparison,
  rebuilt: readonly RebuiltVm[],
  overwrittenBytes: number,
): Record<string, unknown> {
  return {
    vappHref: now.href,
    vappId: now.id,
    vappName: now.name,
    vms: plan.vms.length,
    writtenBytes: rebuilt.reduce((sum, vm) => sum + vm.writtenBytes, overwrittenBytes),
    deviations: deviationsOf(plan),
    differences: differencesOf(attributes),
    comparison: attributes,
  };
}

export function differencesOf(attributes: readonly ComparedAttribute[]): Record<string, unknown>[] {
  return attributes
    .filter(({ equal }) => !equal)
    .map(({ attribute, captured, now, why }) => ({ path: attribute, expected: captured, actual: now, why }));
}
