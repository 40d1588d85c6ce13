import { compareVappAttributes, type VappCapture } from '../vcd/index.js';
import type { RestoreContext } from './modes/context.js';
import type { ComparedAttribute, PlanItem, RestorePlan } from './plan-types.js';
import type { RebuiltVm } from './rebuild-vm.js';

export interface Comparison {
  now: VappCapture;
  attributes: ComparedAttribute[];
}

/** Each attribute of what was restored, as captured and as it is now; those that differ without the plan having said so become warnings. */
export async function compareWithPoint({ plan, run, vcd }: RestoreContext, vappHref: string): Promise<Comparison> {
  return run.step('Compare with the restore point', async () => {
    const now = await vcd.captureVapp(vappHref, run.signal);
    const attributes = compareAttributes(plan, now);
    for (const { attribute, captured, now: value, why } of attributes.filter(({ equal }) => !equal)) {
      if (why === null)
        run.warn(`vApp "${plan.vappName}": ${attribute} is ${JSON.stringify(value)}, the restore point has ${JSON.stringify(captured)}.`);
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
  };
  const actual: VappCapture = {
    ...now,
    vms: now.vms.filter((vm) => restored.has(vm.name)),
    startup: now.startup.filter((item) => restored.has(item.vmName)),
  };
  return compareVappAttributes(expected, actual, {
    ignoreName: plan.vappName !== plan.captured.name,
    ignoreMacAddresses: !plan.keepMacAddresses,
  })
    .filter(({ path }) => plan.putBackVapp || path.startsWith('vms.'))
    .filter(() => plan.payload.mode !== 'disk')
    .map(({ path, expected: captured, actual: value, equal }) => ({
      attribute: path,
      captured,
      now: value,
      equal,
      why: equal ? null : reasonFor(path, plan.items),
    }));
}

/** The plan's own sentence for that attribute, or for what it is part of. */
function reasonFor(path: string, items: readonly PlanItem[]): string | null {
  const said = items.filter((item) => item.conformity !== 'fits' && item.explanation !== '');
  const found = said.find(
    (item) => path === item.attribute || path.startsWith(`${item.attribute}.`) || item.attribute.startsWith(`${path}.`),
  );
  return found?.explanation ?? null;
}

/** What will not be as it was, one sentence each; not what the mode means or the request asks for by itself. */
export function deviationsOf(plan: Pick<RestorePlan, 'items' | 'keepMacAddresses'>): string[] {
  const asked = ({ attribute, conformity }: PlanItem) =>
    conformity === 'changed' && (attribute === 'name' || (!plan.keepMacAddresses && attribute.endsWith('.macAddress')));
  return plan.items.filter((item) => item.conformity !== 'fits' && item.explanation !== '' && !asked(item)).map((item) => item.explanation);
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
    differences: attributes
      .filter(({ equal }) => !equal)
      .map(({ attribute, captured, now: value, why }) => ({ path: attribute, expected: captured, actual: value, why })),
    comparison: attributes,
  };
}
