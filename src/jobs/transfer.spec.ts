import { describe, expect, it } from 'vitest';
import { TransferMeter, transferOf } from './transfer.js';

const TIB = 2 ** 40;

describe('TransferMeter', () => {
  it('tells the rate of the last half minute, and of all the time once it is done', () => {
    const meter = new TransferMeter(1_000_000, 0);
    for (let second = 1; second <= 60; second += 1) meter.update(second * 100, 60_000, 1_000_000 + second * 1_000);
    // From now on four times as fast; half a minute later nothing slow is in the window.
    for (let second = 1; second <= 31; second += 1) meter.update(6_000 + second * 400, 60_000, 1_060_000 + second * 1_000);
    expect(meter.update(6_000 + 32 * 400, 60_000, 1_092_000).bytesPerSecond).toBe(400);
    expect(meter.update(60_000, 60_000, 1_100_000)).toEqual({
      ...{ doneBytes: 60_000, totalBytes: 60_000, bytesPerSecond: 600 },
      ...{ beganAtMs: 1_000_000, changedAtMs: 1_100_000 },
    });
  });

  it('begins anew when the disk does, and tells no rate of an instant', () => {
    const meter = new TransferMeter(5_000, 0);
    expect(meter.update(0, 100, 5_000)).not.toHaveProperty('bytesPerSecond');
    meter.update(90, 100, 14_000);
    expect(meter.update(10, 100, 15_000)).toMatchObject({ beganAtMs: 15_000 });
    expect(meter.update(30, 100, 17_000)).toMatchObject({ bytesPerSecond: 10 });
  });
});

describe('a disk that says nothing', () => {
  const meter = () => {
    const disk = new TransferMeter(1_000_000, 0);
    for (let second = 1; second <= 60; second += 1) disk.update(second * 100, 60_000, 1_000_000 + second * 1_000);
    return { disk, told: disk.update(6_000, 60_000, 1_060_000) };
  };

  it('becomes slower, and stands still when it has moved nothing for half a minute', () => {
    const { disk, told } = meter();
    expect(disk.lookAgain(told, 1_064_000)).toBeUndefined();
    const rates: (number | undefined)[] = [];
    let last = told;
    for (let atMs = 1_065_000; atMs <= 1_095_000; atMs += 5_000) {
      last = disk.lookAgain(last, atMs) ?? last;
      rates.push(last.bytesPerSecond);
    }
    expect(rates).toEqual(rates.toSorted((a, b) => Number(b) - Number(a)));
    expect(rates.at(0)).toBeLessThan(100);
    expect(rates.at(-1)).toBe(0);
    expect(last).toMatchObject({ doneBytes: 6_000, beganAtMs: 1_000_000, changedAtMs: 1_060_000 });
    expect(transferOf({ 'web/1': last }, true)).toMatchObject({ bytesPerSecond: 0, secondsLeft: null });
    expect(disk.lookAgain(last, 1_100_000)).toBeUndefined();
    expect(disk.update(9_000, 60_000, 1_101_000).bytesPerSecond).toBeGreaterThan(0);
  });

  it('is left as it is when it is done', () => {
    const { disk } = meter();
    const done = disk.update(60_000, 60_000, 1_070_000);
    expect(disk.lookAgain(done, 2_000_000)).toBeUndefined();
  });
});

describe('transferOf', () => {
  const stored = {
    'web/1/Hard disk 1': { doneBytes: 3 * TIB, totalBytes: 4 * TIB, bytesPerSecond: 2 ** 30, beganAtMs: 0, changedAtMs: 10_000 },
    'web/1/Hard disk 2': { doneBytes: 500, totalBytes: 500, bytesPerSecond: 50, beganAtMs: 0, changedAtMs: 10_000 },
    'db/Hard disk 1': { doneBytes: 0, totalBytes: TIB, bytesPerSecond: 2 ** 30, beganAtMs: 5_000, changedAtMs: 10_000 },
  };

  it('sums up disks and VMs, whose names may hold a slash, past 2 TiB', () => {
    const transfer = transferOf(stored, true);
    expect(transfer).toMatchObject({ doneBytes: 3 * TIB + 500, totalBytes: 5 * TIB + 500, bytesPerSecond: 2 ** 31, secondsLeft: 1024 });
    expect(
      transfer?.vms.map(({ name, secondsLeft, disks }) => [name, secondsLeft, disks.map((disk) => [disk.name, disk.secondsLeft])]),
    ).toEqual([
      [
        'web/1',
        1024,
        [
          ['Hard disk 1', 1024],
          ['Hard disk 2', 0],
        ],
      ],
      ['db', 1024, [['Hard disk 1', 1024]]],
    ]);
  });

  it('tells no time left before the last disk has begun', () => {
    const done = { doneBytes: 100, totalBytes: 100, bytesPerSecond: 10, beganAtMs: 0, changedAtMs: 10_000 };
    const half = { ...done, doneBytes: 50 };
    const waits = { doneBytes: 0, totalBytes: 0, waits: true } as const;
    const left = (progress: Parameters<typeof transferOf>[0], running = true) => {
      const transfer = transferOf(progress, running);
      return [transfer?.secondsLeft, ...(transfer?.vms.map(({ name, secondsLeft }) => `${name} ${secondsLeft}`) ?? [])];
    };
    expect(left({ 'web/1': done, 'db/': waits })).toEqual([null, 'web 0']);
    expect(left({ 'web/1': half, 'web/2': waits })).toEqual([null, 'web null']);
    expect(left({ 'web/1': half, 'web/2': half })).toEqual([5, 'web 5']);
    expect(left({ 'web/1': done, 'web/2': waits }, false)).toEqual([0, 'web 0']);
    expect(transferOf({ 'web/1': half, 'web/2': waits }, true)?.vms[0]?.disks).toMatchObject([{ name: '1', secondsLeft: 5 }]);
    expect(transferOf({ 'web/1': waits }, true)).toBeNull();
  });

  it('tells of a run that has ended how fast it was, and no time left', () => {
    expect(transferOf(stored, false)).toMatchObject({ bytesPerSecond: Math.round((3 * TIB + 500) / 10), secondsLeft: null });
    expect(transferOf({ installer: { doneBytes: 7, totalBytes: 7 } }, false)).toEqual({
      ...{ doneBytes: 7, totalBytes: 7, bytesPerSecond: null, secondsLeft: 0 },
      vms: [
        {
          ...{ name: 'installer', doneBytes: 7, totalBytes: 7, bytesPerSecond: null, secondsLeft: 0 },
          disks: [{ name: 'installer', doneBytes: 7, totalBytes: 7, bytesPerSecond: null, secondsLeft: 0 }],
        },
      ],
    });
    expect(transferOf({}, true)).toBeNull();
  });
});
