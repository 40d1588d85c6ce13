import type { DiskPointRow, RestorePointRow } from '../src/catalog/index.js';
import { formatBytes } from '../src/common/index.js';
import { table } from './table.js';

const COLUMNS = ['disk', 'kind', 'capacity', 'allocated', 'changed', 'read over VDDK', 'new to repository', 'stored', 'MB/s'] as const;

/** What the backup did with each disk; MB/s counts what was read. */
export function restorePointTable(point: RestorePointRow): string {
  const row = (
    name: string,
    d: Pick<DiskPointRow, 'capacityBytes' | 'allocatedBytes' | 'changedBytes' | 'readBytes' | 'newBytes' | 'storedBytes'>,
    kind: string,
    rate: string,
  ) => [
    name,
    kind,
    formatBytes(d.capacityBytes),
    formatBytes(d.allocatedBytes),
    formatBytes(d.changedBytes),
    formatBytes(d.readBytes),
    formatBytes(d.newBytes),
    formatBytes(d.storedBytes),
    rate,
  ];
  const disks = point.vms.flatMap((vm) => vm.disks.map((disk) => ({ vm, disk })));
  const total = (pick: (disk: DiskPointRow) => number) => disks.reduce((sum, { disk }) => sum + pick(disk), 0);
  const rows = disks.map(({ vm, disk }) => row(`${vm.name}/${disk.label}`, disk, disk.kind, megabytesPerSecond(disk).toFixed(0)));
  const sums = {
    capacityBytes: total((d) => d.capacityBytes),
    allocatedBytes: total((d) => d.allocatedBytes),
    changedBytes: total((d) => d.changedBytes),
    readBytes: total((d) => d.readBytes),
    newBytes: total((d) => d.newBytes),
    storedBytes: total((d) => d.storedBytes),
  };
  return table(COLUMNS, [...rows, row('all', sums, '', '')]);
}

export function megabytesPerSecond(disk: Pick<DiskPointRow, 'readBytes' | 'durationMs'>): number {
  return disk.durationMs === 0 ? 0 : disk.readBytes / 1e6 / (disk.durationMs / 1000);
}
