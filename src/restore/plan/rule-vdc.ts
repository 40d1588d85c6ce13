import { sameEntity, type VcdReference, type VdcResources } from '../../vcd/index.js';
import type { PlanItem } from '../plan-types.js';
import { planItem } from './choose.js';

/** What is built is built in the captured VDC, in the one that is named, or in the only one of the organization that is named. */
export function ruleVdc(
  captured: VcdReference,
  vdc: Pick<VdcResources, 'href' | 'id' | 'name'>,
  available: readonly { id: string; name: string }[],
): PlanItem {
  const options = available.map(({ id, name }) => ({ value: id, label: name }));
  const choice = { field: 'vdcId', chosen: vdc.id, options };
  const values = { captured: captured.name ?? captured.id ?? captured.href, planned: vdc.name };
  const isSame = sameEntity(vdc.href, captured.href);
  if (isSame && vdc.name === values.captured) return planItem('vdc', 'fits', values, '', { choice });
  const sentence = isSame
    ? `VDC "${values.captured}" is called "${vdc.name}" today.`
    : `It is restored into VDC "${vdc.name}" instead of "${values.captured}", as the request says.`;
  return planItem('vdc', 'changed', values, sentence, { choice });
}
