import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { MIB, silentLogger } from '../../src/common/index.js';
import { Leftovers } from '../../src/vddk/index.js';
import { accessTo, DATA, doorWith, opened, PATH, permitsFor, PIECES, readAll, readFault, SHORT, workshop } from './vddk-access-fixture.js';
import { failure } from './vddk-fixtures.js';
import type { FakeDoor } from './vddk-fixtures.js';

const HOTADD = { modes: ['hotadd' as const], fallback: 'refuse' as const, compression: 'none' as const };

describe('transports', () => {
  it('refuses what VDDK fell back to, or says so where that is allowed', async () => {
    const door = await doorWith({ transport: 'nbdssl' });
    const { access } = await accessTo(door, { transport: HOTADD });
    expect(await failure(access.openDisk(PATH, {}))).toMatchObject({ code: 'TRANSPORT_FELL_BACK', retryable: false });
    expect(door.operations('close')).toHaveLength(1);
    const { access: lenient, warnings } = await accessTo(door, { transport: { ...HOTADD, fallback: 'allow' } });
    const disk = await lenient.openDisk(PATH, {});
    expect(disk.transportMode).toBe('nbdssl');
    expect(warnings).toEqual([`${PATH} is carried by transport nbdssl: VDDK could use none of hotadd.`]);
  });

  it('asks for a permit again before it opens anew what SAN carried: it may come over the network this time', async () => {
    const door = await doorWith({ openings: [{ transport: 'san', faults: readFault(14011) }, { transport: 'nbdssl' }] });
    const limits = permitsFor(1);
    const another = () => limits.acquire({ vcenterInstanceUuid: 'vc-1', esxiHostMoRef: 'host-1', nfcBytes: MIB });
    const transport = { modes: ['san' as const, 'nbdssl' as const], fallback: 'refuse' as const, compression: 'none' as const };
    const { access } = await accessTo(door, { limits, transport });
    const disk = await access.openDisk(PATH, {});
    expect(disk.transportMode).toBe('san');
    const giveBack = await another();
    const reading = disk.read(PIECES);
    await expect.poll(() => access.renewalCount).toBe(1);
    await access.moment;
    expect(door.operations('open')).toHaveLength(1);
    giveBack();
    await reading;
    expect(disk.transportMode).toBe('nbdssl');
    expect(access.memory.subarray(0, DATA.length).equals(DATA)).toBe(true);
    // It is the disk's until it is closed.
    let entered = false;
    const waiting = another().then((release) => {
      entered = true;
      return release;
    });
    await disk.metadata();
    expect(entered).toBe(false);
    await disk.close();
    (await waiting)();
  });

  it("asks for what is left after the rules of the disk's place, by one connection for all disks alike", async () => {
    const door = await doorWith({ transport: 'nbdssl' });
    const { access } = await accessTo(door, {
      transport: { modes: ['san', 'hotadd', 'nbdssl'], fallback: 'refuse', compression: 'fastlz' },
    });
    await access.openDisk(PATH, { place: { datastoreType: 'VVOL', bus: 'scsi', encrypted: false } });
    await access.openDisk(PATH, { place: { datastoreType: 'vsan', bus: 'nvme', encrypted: false } });
    await access.openDisk(PATH, { place: { datastoreType: 'VMFS', bus: 'ide', encrypted: false } });
    expect(door.operations('connect').map(({ transportModes }) => transportModes)).toEqual(['hotadd:nbdssl', 'san:nbdssl']);
  });

  it('cleans up after HotAdd, also where a disk cannot be detached, and tells the administrator', async () => {
    const door = await doorWith({ transport: 'hotadd' });
    const { access } = await accessTo(door, { transport: HOTADD });
    await (await access.openDisk(PATH, {})).close();
    await access.close();
    opened.pop();
    expect(door.operations('cleanup')).toHaveLength(1);
    const stuck = await doorWith({ transport: 'hotadd', closeVixError: 14015 });
    const { access: other, warnings } = await accessTo(stuck, { transport: HOTADD });
    const disk = await other.openDisk(PATH, {});
    expect(await failure(disk.close())).toMatchObject({ code: 'VIX_HOST_IN_MAINTENANCE', retryable: true });
    expect(stuck.operations('cleanup')).toHaveLength(1);
    expect(warnings.join()).toMatch(/remove the snapshot/);
  });
});

describe('a process that dies over HotAdd', () => {
  const opsOf = (door: FakeDoor) =>
    door.requests.map(({ op }) => op).filter((op) => ['open', 'close', 'cleanup', 'prepareForAccess'].includes(op));

  it('is cleaned up after before the disk is opened anew, and what it kept in its place is kept there again', async () => {
    const door = await doorWith({ openings: [{ transport: 'hotadd', faults: readFault(0, 'crash') }, { transport: 'hotadd' }] });
    let heldAgain = 0;
    const afterCleanup = async () => {
      heldAgain += 1;
    };
    const { access } = await accessTo(door, { transport: HOTADD, afterCleanup });
    expect(await readAll(access)).toBeLessThanOrEqual(8 * MIB);
    await access.close();
    opened.pop();
    expect(opsOf(door)).toEqual(['open', 'cleanup', 'open', 'close', 'cleanup']);
    expect(heldAgain).toBe(2);
  });

  it('is cleaned up after by another when nothing could be opened any more', async () => {
    const door = await doorWith({ transport: 'hotadd', faults: readFault(0, 'crash') });
    const { access } = await accessTo(door, { transport: HOTADD });
    const disk = await access.openDisk(PATH, {});
    await failure(disk.read(PIECES));
    await disk.close();
    await access.close();
    opened.pop();
    expect(
      opsOf(door)
        .filter((op) => op !== 'close')
        .slice(-2),
    ).toEqual(['open', 'cleanup']);
  });
});

describe('a run that was cancelled over HotAdd', () => {
  it('waits neither for a Disconnect nor for a Cleanup that hang', async () => {
    const door = await doorWith({ transport: 'hotadd' });
    door.facts.unanswered = ['close', 'cleanup'];
    const run = new AbortController();
    const settings = workshop.settings({ retries: SHORT, operationTimeoutMs: 300_000, hurry: { closeMs: 300, cleanupMs: 300 } });
    const { access } = await accessTo(door, { transport: HOTADD, settings, signal: run.signal });
    await access.openDisk(PATH, {});
    run.abort(new Error('cancelled'));
    await access.close();
    opened.pop();
    expect(door.operations('close')).toHaveLength(1);
    // Another process was asked, and given up as well: the next start looks for what is left.
    expect(door.operations('cleanup')).toHaveLength(1);
  });
});

describe('VMware Cloud', () => {
  it('passes over what PrepareForAccess is not allowed to do there, and nowhere else', async () => {
    const door = await workshop.openDoor({ accessVixError: 3014 });
    const onPremises = await workshop.startHost();
    expect(await failure(onPremises.prepareForAccess(door.target(), 'x'))).toMatchObject({ vixCode: 3014 });
    const host = await workshop.startHost({ vmwareCloud: true });
    await host.prepareForAccess(door.target(), 'x');
    await host.endAccess(door.target(), 'x');
    const other = await workshop.openDoor({ accessVixError: 4000 });
    expect(await failure(host.prepareForAccess(other.target(), 'x'))).toMatchObject({ vixCode: 4000 });
  });
});

describe('what a killed process left behind', () => {
  it('is cleaned up once for each vCenter, and never in the way of a copy', async () => {
    const settings = workshop.settings({ temporaryDir: join(workshop.dir, 'left') });
    const door = await workshop.openDoor();
    const clean = (leftovers: Leftovers, vcenter: string) => leftovers.cleanUpOnce(vcenter, settings, () => door.target(), silentLogger);
    const leftovers = new Leftovers();
    // Nothing there: vCenter is not even asked.
    await clean(leftovers, 'vc-0');
    mkdirSync(join(settings.temporaryDir, 'vmware-root', 'vm-16-hotadd'), { recursive: true });
    // Of a process that cannot live: the kernel's largest id is below it.
    writeFileSync(join(settings.temporaryDir, 'vddk-99999999-abcdef.conf'), '');
    await Promise.all([clean(leftovers, 'vc-1'), clean(leftovers, 'VC-1')]);
    await clean(leftovers, 'vc-2');
    expect(door.operations('cleanup')).toHaveLength(2);
    expect(readdirSync(settings.temporaryDir)).toEqual(['vmware-root']);
    door.facts.unanswered = ['cleanup'];
    const run = new AbortController();
    const cancelled = leftovers.cleanUpOnce('vc-4', settings, () => door.target(), silentLogger, run.signal);
    const other = clean(leftovers, 'vc-4');
    await vi.waitFor(() => expect(door.operations('cleanup')).toHaveLength(3), 5_000);
    run.abort(new Error('cancelled'));
    await expect(cancelled).rejects.toThrow('cancelled');
    await door.close();
    await Promise.all([other, clean(leftovers, 'vc-3')]);
    rmSync(settings.temporaryDir, { recursive: true });
  });
});
