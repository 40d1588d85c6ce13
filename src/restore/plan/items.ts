import { compareVappAttributes, type VappCapture } from '../../vcd/index.js';
import type { PlanItem } from '../plan-types.js';

/**
 * Every captured attribute as an item: what the rules said of it, else what a comparison of the
 * capture with its adapted form says. A rule's item stands for the attributes below its path too.
 */
export function planItems(captured: VappCapture, wanted: VappCapture, ruled: readonly PlanItem[], wholeVapp: boolean): PlanItem[] {
  const byPath = new Map(ruled.map((item) => [item.attribute, item]));
  const items: PlanItem[] = [];
  for (const { path, expected, actual, equal } of compareVappAttributes(captured, wanted)) {
    if (!wholeVapp && !isOfVms(path)) continue;
    if (byPath.has(path)) continue;
    const cover = equal ? undefined : coveringItem(path, byPath);
    items.push({
      attribute: path,
      conformity: equal ? 'fits' : (cover?.conformity ?? 'changed'),
      captured: expected,
      planned: actual,
      explanation: equal ? '' : (cover?.explanation ?? `It is ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}.`),
      needsChoice: false,
    });
  }
  return [...byPath.values(), ...items].sort((a, b) => (a.attribute < b.attribute ? -1 : a.attribute > b.attribute ? 1 : 0));
}

/** What comes back with a VM, also into a vApp that keeps everything of its own. */
export function isOfVms(path: string): boolean {
  return ['vms.', 'namedDisks.', 'affinityRules.'].some((start) => path.startsWith(start));
}

/** The nearest item above: VM and network names may hold dots, so paths are cut one dot at a time. */
export function coveringItem(path: string, items: ReadonlyMap<string, PlanItem>): PlanItem | undefined {
  for (let at = path.lastIndexOf('.'); at > 0; at = path.lastIndexOf('.', at - 1)) {
    const item = items.get(path.slice(0, at));
    if (item !== undefined) return item;
  }
  return undefined;
}
