import { describe, expect, it } from 'vitest';
import { planItem } from './plan/choose.js';
import { payload, vappCapture, vmCapture } from './plan/testing.js';
import type { PlanItem, RestorePlan } from './plan-types.js';
import { compareAttributes } from './restore-result.js';

const web = vmCapture('web', { description: 'front' });
const captured = vappCapture([web], { description: 'the shop' });

function plan(more: { name?: string; items?: PlanItem[]; putBackVapp?: boolean }): RestorePlan {
  const vms = [{ captured: web, wanted: { ...web, name: more.name ?? 'web' } }];
  return {
    payload: payload(),
    captured,
    wanted: captured,
    vappName: captured.name,
    keepMacAddresses: true,
    putBackVapp: more.putBackVapp ?? true,
    items: more.items ?? [],
    vms,
  } as unknown as RestorePlan;
}

describe('compareAttributes', () => {
  it('says of every attribute whether it is as captured', () => {
    const lines = compareAttributes(plan({}), captured);
    const description = { attribute: 'vms.web.description', captured: 'front', now: 'front', equal: true, why: null };
    expect(lines.find((line) => line.attribute === 'vms.web.description')).toEqual(description);
    expect(lines.every((line) => line.equal)).toBe(true);
  });

  it("gives the plan's sentence where it had one", () => {
    const sentence = 'Owner "olivia" is gone.';
    const items = [planItem('owner', 'missing', { captured: 'olivia', planned: undefined }, sentence)];
    const now = { ...captured, description: 'other', owner: { href: 'u', name: 'administrator' } };
    const differing = compareAttributes(plan({ items }), now).filter((line) => !line.equal);
    expect(differing.map((line) => line.attribute)).toEqual(['description', 'owner']);
    expect(differing[1]?.why).toBe(sentence);
  });

  it('follows a VM to its new name, and leaves VMs out that were not restored', () => {
    const now = vappCapture([vmCapture('web', { description: 'newer' }), vmCapture('web-old', { description: 'front' })]);
    const lines = compareAttributes(plan({ name: 'web-old', putBackVapp: false }), now);
    expect(lines.map((line) => line.attribute)).toContain('vms.web-old.description');
    expect(lines.every((line) => line.equal && line.attribute.startsWith('vms.web-old.'))).toBe(true);
  });
});
