import { describe, expect, it } from 'vitest';
import type { VerifyFinding } from '../repository/index.js';
import { DamageAlerts } from './damage-alerts.js';

const { signal } = new AbortController();

function alerts(kind: 'none' | 'folder' = 'none') {
  const kept = new Map<string, string>();
  const state = {
    // As the database does it: nothing is shared with who saved it.
    load: async (name: string) => {
      const text = kept.get(name);
      return text === undefined ? undefined : { value: JSON.parse(text), savedAt: new Date(), ageMs: 0 };
    },
    save: async (name: string, value: object) => void kept.set(name, JSON.stringify(value)),
  };
  const content = { vapp: { name: 'shop' }, vms: [{ name: 'db', disks: [{ diskId: 'd', label: 'Hard disk 1' }] }] };
  const repository = { readManifest: async () => ({ content }) };
  return new DamageAlerts(state as never, repository as never, { repository: { secondSite: { kind } } } as never);
}

const lostDisk = (organizationId: string, restorePointId: string): VerifyFinding => ({
  ...{ organizationId, restorePointId, kind: 'disk', diskId: 'd', ranges: [{ offsetBytes: 2 ** 41, lengthBytes: 512 }] },
  ...{ damagedBytes: 512, reason: 'no pack holds it' },
});
const lostObject = (organizationId: string): VerifyFinding => ({
  organizationId,
  kind: 'object',
  name: 'packs/7',
  reason: 'its trailer is cut',
});

describe('alerts about damage', () => {
  it('tell each organization of its own, the worst first, and the provider of what is nobody’s', async () => {
    const damage = alerts();
    const findings = [lostObject('a'), lostDisk('a', 'p'), lostDisk('a', 'q'), lostObject('b'), lostObject('')];
    await damage.note({ site: 'first', runId: 'r' }, findings, signal);
    const object = 'packs/7 in the repository is damaged: its trailer is cut;';
    expect(await damage.firing()).toMatchObject([
      {
        ...{ key: 'first:a', organizationId: 'a', severity: 'critical', details: { runId: 'r', findings: 3, restorePoints: 2 } },
        message: expect.stringContaining(
          ': 512 bytes of Hard disk 1 of VM "db" in restore point p of "shop" are lost, from byte 2199023255552 on: no pack holds it, and 2 more;',
        ),
      },
      { key: 'first:b', organizationId: 'b', severity: 'warning', message: expect.stringContaining(object), details: { restorePoints: 0 } },
      { key: 'first:', organizationId: '', severity: 'warning', message: expect.stringContaining(object) },
    ]);
  });

  it('end with the verification that finds it no more, of the same organization and the same site', async () => {
    const damage = alerts('folder');
    const keys = async () => (await damage.firing()).map(({ key }) => key);
    for (const site of ['first', 'second'] as const)
      await damage.note({ site, runId: 'r' }, [lostDisk('a', 'p'), lostDisk('b', 'p')], signal);
    expect(await keys()).toEqual(['first:a', 'first:b', 'second:a', 'second:b']);
    await damage.note({ site: 'first', organizationId: 'a', runId: 's' }, [], signal);
    expect(await keys()).toEqual(['first:b', 'second:a', 'second:b']);
    await damage.note({ site: 'second', runId: 't' }, [lostDisk('a', 'p')], signal);
    expect(await keys()).toEqual(['first:b', 'second:a']);
    await damage.note({ site: 'first', runId: 'u' }, [], signal);
    expect(await keys()).toEqual(['second:a']);
  });

  it('keep the packs that are damaged in themselves for the next verification', async () => {
    const damage = alerts();
    const cut = { ...lostObject('b'), name: 'index/7' };
    await damage.note({ site: 'first', runId: 'r' }, [lostObject('a'), lostDisk('a', 'p'), cut], signal);
    expect(await damage.damagedPacks('first')).toEqual([{ organizationId: 'a', name: 'packs/7' }]);
    expect(await damage.damagedPacks('second')).toEqual([]);
  });

  it('tell nothing of a second site that is not there any more', async () => {
    const damage = alerts('none');
    await damage.note({ site: 'second', runId: 'r' }, [lostDisk('a', 'p')], signal);
    expect(await damage.firing()).toEqual([]);
  });
});
