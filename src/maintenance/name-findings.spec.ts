import { expect, it } from 'vitest';
import type { Manifest, VerifyFinding } from '../repository/index.js';
import { describeFinding, nameFindings } from './name-findings.js';

const content = { vapp: { name: 'shop' }, vms: [{ name: 'db', disks: [{ diskId: 'd-2', label: 'Hard disk 2' }] }] };
const repository = {
  readManifest: async ({ restorePointId }: { restorePointId: string }) => {
    if (restorePointId !== 'rp-1') throw new Error('damaged');
    return { content } as unknown as Manifest;
  },
};
const signal = new AbortController().signal;

it('adds vApp, VM and disk, and says all of it in one sentence', async () => {
  const finding: VerifyFinding = {
    organizationId: 'org',
    kind: 'disk',
    restorePointId: 'rp-1',
    diskId: 'd-2',
    ranges: [{ offsetBytes: 4096, lengthBytes: 512 }],
    damagedBytes: 512,
    reason: 'its digest is wrong',
  };
  const [named] = await nameFindings(repository, [finding], signal);
  expect(named).toEqual({ ...finding, vapp: 'shop', vm: 'db', disk: 'Hard disk 2' });
  expect(named && describeFinding(named)).toBe(
    '512 bytes of Hard disk 2 of VM "db" in restore point rp-1 of "shop" are lost, from byte 4096 on: its digest is wrong',
  );
});

it('does without names where there are none', async () => {
  const findings: VerifyFinding[] = [
    { organizationId: 'org', kind: 'object', name: 'packs/aa/x', reason: 'it is missing' },
    { organizationId: 'org', kind: 'manifest', restorePointId: 'rp-2', reason: 'it is short' },
    { organizationId: 'org', kind: 'document', restorePointId: 'rp-2', name: 'ab', reason: 'no pack holds it' },
  ];
  const named = await nameFindings(repository, findings, signal);
  expect(named).toEqual(findings);
  expect(named.map(describeFinding)).toEqual([
    'packs/aa/x in the repository is damaged: it is missing',
    'The restore point rp-2 is damaged: it is short',
    'Document ab of restore point rp-2 is lost: no pack holds it',
  ]);
});
