import { describe, expect, it } from 'vitest';
import type { ManifestVm } from '../catalog/index.js';
import { RepositoryError } from '../repository/index.js';
import { VddkError } from '../vddk/index.js';
import { copyOrLeave, type CopyOrLeaveOptions } from './copy-or-leave.js';

const vms = ['web', 'db', 'app'].map((name) => ({ captured: { id: `urn:${name}`, name } }));
type Vm = (typeof vms)[number];

function setUp(settings: CopyOrLeaveOptions['settings'], failures: Record<string, unknown[]>) {
  const warnings: string[] = [];
  const copies: string[] = [];
  const left: string[] = [];
  const options: CopyOrLeaveOptions = {
    ...{ limit: 1, settings, signal: new AbortController().signal },
    ...{ warn: (text) => warnings.push(text), onLeft: (name) => left.push(name) },
  };
  const copy = async ({ captured: { name } }: Vm) => {
    copies.push(name);
    const failure = failures[name]?.shift();
    if (failure !== undefined) throw failure;
    return { name } as ManifestVm;
  };
  return { warnings, copies, left, run: () => copyOrLeave(vms, copy, options) };
}

const passing = () => new VddkError('The connection was lost', { code: 'VDDK_HOST_TIMEOUT', retryable: true });
const lasting = () => new VddkError('The disk is locked', { code: 'VIX_FILE_LOCKED', retryable: false });
const twice = { attempts: 2, delaySeconds: 0 };

describe('copyOrLeave', () => {
  it('copies a VM again whose failure may pass, and no other', async () => {
    const { run, copies, warnings } = setUp({ retryVms: twice, whenVmFails: 'fail' }, { db: [passing(), passing()] });
    const { vms: copied, failed } = await run();
    expect(copied.map(({ name }) => name)).toEqual(['web', 'db', 'app']);
    expect(failed).toEqual([]);
    expect(copies.toSorted()).toEqual(['app', 'db', 'db', 'db', 'web']);
    expect(warnings).toEqual(Array(2).fill('The copy of VM "db" failed and is begun again in 0 s: The connection was lost'));
  });

  it('ends the run with the first VM that fails for good, by default', async () => {
    const { run } = setUp({ retryVms: twice, whenVmFails: 'fail' }, { web: [passing(), passing(), passing()] });
    await expect(run()).rejects.toMatchObject({ code: 'VDDK_HOST_TIMEOUT' });
    const lost = setUp({ retryVms: twice, whenVmFails: 'fail' }, { db: [lasting()] });
    await expect(lost.run()).rejects.toMatchObject({ code: 'VIX_FILE_LOCKED' });
    expect(lost.copies.filter((name) => name === 'db')).toHaveLength(1);
  });

  it('keeps the others and says who is missing and why, if it may', async () => {
    const { run, warnings, left } = setUp(
      { retryVms: twice, whenVmFails: 'keep-others' },
      { db: [lasting()], app: [new Error('password=hunter2')] },
    );
    const { vms: copied, failed } = await run();
    expect(copied.map(({ name }) => name)).toEqual(['web']);
    expect(failed).toEqual([
      { name: 'db', vcloudId: 'urn:db', reason: 'its copy failed: The disk is locked', failed: true },
      { name: 'app', vcloudId: 'urn:app', reason: "its copy failed; the service's log tells more", failed: true },
    ]);
    expect(warnings).toHaveLength(2);
    expect(left).toEqual(['db', 'app']);
    expect(JSON.stringify([failed, warnings])).not.toContain('hunter2');
  });

  it('ends the run when none is left, or when it is the repository that fails', async () => {
    const settings = { retryVms: { attempts: 0, delaySeconds: 0 }, whenVmFails: 'keep-others' as const };
    await expect(setUp(settings, { web: [lasting()], db: [lasting()], app: [lasting()] }).run()).rejects.toMatchObject({
      code: 'VIX_FILE_LOCKED',
    });
    const full = new RepositoryError('The repository is full', { code: 'REPOSITORY_FULL', retryable: true });
    const { run, copies } = setUp({ retryVms: twice, whenVmFails: 'keep-others' }, { web: [full] });
    await expect(run()).rejects.toBe(full);
    expect(copies).toEqual(['web']);
  });
});
