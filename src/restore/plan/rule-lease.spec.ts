import { describe, expect, it } from 'vitest';
import { ruleLease, templateLimits } from './rule-lease.js';

describe('the lease of a template', () => {
  const limits = (maxTemplateStorageSeconds?: number) => ({
    leaseLimits: {
      maxDeploymentSeconds: 10,
      maxStorageSeconds: 20,
      ...(maxTemplateStorageSeconds !== undefined && { maxTemplateStorageSeconds }),
    },
  });
  it.each([
    ['within its own limit, not that of vApps', 500, limits(1000), 500, 0],
    ['above it', 5000, limits(1000), 1000, 1],
    ['without end, above it', 0, limits(1000), 1000, 1],
    ['where there is none', 0, limits(0), 0, 0],
    ['where VCD does not tell', 500, limits(), 500, 0],
    ['where VCD tells nothing', 500, {}, 500, 0],
  ])('%s', (_, storageSeconds, vdc, planned, items) => {
    const ruled = ruleLease({ deploymentSeconds: 0, storageSeconds }, templateLimits(vdc), undefined);
    expect(ruled.lease).toEqual({ deploymentSeconds: 0, storageSeconds: planned });
    expect(ruled.items.map(({ attribute }) => attribute)).toEqual(items === 0 ? [] : ['lease.storageSeconds']);
  });
});
