import type { VappCapture, VdcResources } from '../../vcd/index.js';
import type { PlanItem } from '../plan-types.js';
import type { RestoreRequest } from '../restore-request.js';
import { planItem } from './choose.js';

type Lease = VappCapture['lease'];

const OPTIONS = [
  { value: 'limit', label: 'As long as the organization allows' },
  { value: 'captured', label: 'As captured, even if VCD may refuse it' },
];

/** A lease longer than the organization allows today is cut to what it allows; 0 is "never expires", the longest there is. */
export function ruleLease(
  captured: Lease,
  limits: VdcResources['leaseLimits'],
  choice: RestoreRequest['choices']['lease'],
): { lease: Lease; items: PlanItem[] } {
  if (limits === undefined) return { lease: captured, items: [] };
  const lease = { ...captured };
  const items: PlanItem[] = [];
  const rule = (key: keyof Lease, what: string, maximumSeconds: number) => {
    const seconds = captured[key];
    const tooLong = maximumSeconds !== 0 && (seconds === 0 || seconds > maximumSeconds);
    if (!tooLong) return;
    if (choice !== 'captured') lease[key] = maximumSeconds;
    const asked = seconds === 0 ? 'without end' : `of ${seconds} s`;
    const outcome = choice === 'captured' ? 'it is asked for all the same' : `it becomes ${maximumSeconds} s`;
    items.push(
      planItem(
        `lease.${key}`,
        'not-permitted',
        { captured: seconds, planned: lease[key] },
        `A ${what} lease ${asked} is more than the organization allows (${maximumSeconds} s); ${outcome}.`,
        { choice: { field: 'lease', chosen: choice ?? 'limit', options: OPTIONS } },
      ),
    );
  };
  rule('deploymentSeconds', 'runtime', limits.maxDeploymentSeconds);
  rule('storageSeconds', 'storage', limits.maxStorageSeconds);
  return { lease, items };
}

/** A template is never deployed: it has a storage lease only, with a limit of its own. */
export function templateLimits({ leaseLimits }: Pick<VdcResources, 'leaseLimits'>): VdcResources['leaseLimits'] {
  const maxStorageSeconds = leaseLimits?.maxTemplateStorageSeconds;
  return maxStorageSeconds === undefined ? undefined : { maxDeploymentSeconds: 0, maxStorageSeconds };
}
