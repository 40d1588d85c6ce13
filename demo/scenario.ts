import type { RestorePointRow } from '../src/catalog/index.js';
import type { RunView } from '../src/jobs/index.js';
import type { Comparison } from './control-client.js';
import type { Parts } from './parts.js';
import { CONTENT_TEXT, type ContentKind, contentKind } from './content-kind.js';
import { DemoFailure } from './failure.js';
import { loseVapp } from './lose-vapp.js';
import { ProgressBars } from './progress-bars.js';
import { DemoPolicy } from './policy.js';
import { megabytesPerSecond, restorePointTable } from './report.js';
import { table } from './table.js';

export interface Figures {
  summary: string;
  content: ContentKind;
  bytesDiffer: number;
  attributesDiffer: number;
  /** A sentence for each disk and attribute that is not as it was; empty when the demo shows what it should. */
  differences: string[];
  backups: Record<string, unknown>[];
  restores: Record<string, unknown>[];
  comparisons: NamedComparison[];
}

interface NamedComparison extends Comparison {
  checkpoint: string;
  vapp: string;
}

interface VappItem {
  id: string;
  name: string;
  organizationName: string;
  vdcName: string;
}

const VAPP = 'shop';
const COPY = 'shop-before';
/** A copy gets MAC addresses of its own, or it would disturb the original it stands beside. */
const NEW_IN_A_COPY = ['vms/*/nics/*/macAddress'];

export async function runScenario(parts: Parts): Promise<Figures> {
  const backups: Record<string, unknown>[] = [];
  const restores: Record<string, unknown>[] = [];

  heading('1  The service registers the cloud');
  const { vapp, cloudId } = await registerCloud(parts);
  const content = await contentKind(parts.control, VAPP);
  console.log(`\n  The disks of "${VAPP}" hold ${CONTENT_TEXT[content]}`);

  heading(`2  A policy backs "${VAPP}" up, in full`);
  await parts.control.checkpoint('first', VAPP);
  const policy = await DemoPolicy.make(parts.service, cloudId, vapp);
  const first = await backUp(parts, policy, backups);

  heading('3  The guests write; the policy backs up what they changed');
  await letGuestsWrite(parts);
  await parts.control.checkpoint('second', VAPP);
  await policy.moveToNextMinute();
  const second = await backUp(parts, policy, backups);

  heading(`4  "${VAPP}" is deleted in VCD`);
  await loseVapp(parts, VAPP);

  heading('5  The second restore point is restored');
  await restore(parts, { restorePointId: second.id, mode: 'missing-vapp' }, restores);
  const secondComparison = await compare(parts, 'second', VAPP);

  heading(`6  The first restore point is restored beside it, as "${COPY}"`);
  await restore(parts, { restorePointId: first.id, mode: 'copy', name: COPY }, restores);
  const firstComparison = await compare(parts, 'first', COPY);

  const comparisons = [secondComparison, firstComparison];
  return { content, backups, restores, comparisons, ...verdict(backups.length, restores.length, comparisons) };
}

function verdict(backups: number, restores: number, comparisons: readonly NamedComparison[]) {
  const bytesDiffer = sum(comparisons, (c) => sum(c.disks, (disk) => disk.differingBytes));
  const attributesDiffer = sum(comparisons, (c) => c.attributes.length);
  return {
    summary: `demo: ${backups} restore points, ${restores} restores, ${bytesDiffer} bytes differ, ${attributesDiffer} attributes differ`,
    bytesDiffer,
    attributesDiffer,
    differences: comparisons.flatMap(differencesOf),
  };
}

function differencesOf({ checkpoint, vapp, disks, attributes }: NamedComparison): string[] {
  const where = `of "${vapp}" differs from what it was at the ${checkpoint} restore point`;
  return [
    ...disks
      .filter((disk) => disk.differingBytes > 0)
      .map((disk) => `${disk.vm}/${disk.label} ${where}: ${disk.differingBytes} bytes, the first at ${disk.firstDifferenceBytes}`),
    ...disks
      .filter((disk) => disk.fileSystem === 'damaged')
      .map((disk) => `${disk.vm}/${disk.label} of "${vapp}": e2fsck finds faults in its file system: ${disk.detail ?? 'no details'}`),
    ...attributes.map(({ path, expected, actual }) => `${path} ${where}: ${JSON.stringify(expected)} has become ${JSON.stringify(actual)}`),
    ...(disks.length === 0 ? [`no disk ${where.replace('differs from', 'could be compared with')}`] : []),
  ];
}

async function registerCloud({ service, cloud }: Parts): Promise<{ vapp: VappItem; cloudId: string }> {
  const registered = await service.post<{ id: string }>('/api/v1/clouds', {
    name: 'demo',
    vcd: {
      url: cloud.vcd.url,
      organization: cloud.vcd.organization,
      userName: cloud.vcd.userName,
      password: cloud.vcd.password,
      thumbprint: cloud.vcd.thumbprintSha256,
    },
    vcenters: [
      {
        url: cloud.vcenter.url,
        userName: cloud.vcenter.userName,
        password: cloud.vcenter.password,
        thumbprint: cloud.vcenter.thumbprintSha256,
      },
    ],
  });
  const { items } = await service.get<{ items: VappItem[] }>(`/api/v1/vapps?cloudId=${registered.id}`);
  console.log(
    table(
      ['vApp', 'organization', 'VDC'],
      items.map((item) => [item.name, item.organizationName, item.vdcName]),
    ),
  );
  const vapp = items.find((item) => item.name === VAPP);
  if (vapp === undefined) throw new DemoFailure(`the inventory has no vApp "${VAPP}"`);
  return { vapp, cloudId: registered.id };
}

async function backUp({ service }: Parts, policy: DemoPolicy, figures: Record<string, unknown>[]): Promise<RestorePointRow> {
  const run = await finish(policy.nextRun(), service);
  const point = await service.get<RestorePointRow>(`/api/v1/restore-points/${String(run.result?.restorePointId)}`);
  console.log(`\n${restorePointTable(point)}`);
  figures.push({
    restorePointId: point.id,
    kind: point.kind,
    seconds: secondsOf(run),
    capacityBytes: point.capacityBytes,
    readBytes: point.readBytes,
    newBytes: point.newBytes,
    storedBytes: point.storedBytes,
    disks: point.vms.flatMap((vm) => vm.disks.map((disk) => ({ vm: vm.name, ...disk, megabytesPerSecond: megabytesPerSecond(disk) }))),
  });
  return point;
}

async function restore({ service }: Parts, request: Record<string, unknown>, figures: Record<string, unknown>[]): Promise<void> {
  const run = await finish(service.post<RunView>('/api/v1/restores', request), service);
  figures.push({ ...request, seconds: secondsOf(run), ...run.result, warnings: run.warnings });
}

async function finish(started: Promise<{ id: string }>, service: Parts['service']): Promise<RunView> {
  const bars = new ProgressBars();
  const run = await service.follow((await started).id, (view) => bars.update(view));
  for (const warning of run.warnings) console.log(`  warning: ${warning}`);
  if (run.state !== 'succeeded' && run.state !== 'warning') {
    throw new DemoFailure(`the ${run.kind} of ${run.subject} ${run.state}: ${run.error?.message ?? 'no reason given'}`);
  }
  return run;
}

/** Scattered 64 KiB blocks on one disk, a large file on another, a deleted file whose blocks are unmapped on a third. */
async function letGuestsWrite({ control }: Parts): Promise<void> {
  await control.guestWrite('web-1', { disk: 0, seed: 'scattered', scatteredBlocks: 40 });
  await control.guestWrite('db-1', { disk: 1, seed: 'large-file', largeFileBytes: 48 * 2 ** 20 });
  await control.guestWrite('app-1', { disk: 0, seed: 'unmap', unmapFile: true });
}

async function compare({ control }: Parts, checkpoint: string, vapp: string): Promise<NamedComparison> {
  const isCopy = vapp !== VAPP;
  const comparison = await control.compare(checkpoint, vapp, { ignoreName: isCopy, ignore: isCopy ? NEW_IN_A_COPY : [] });
  console.log(
    table(
      ['disk', 'bytes compared', 'bytes that differ', 'first at', 'e2fsck -fn'],
      comparison.disks.map((disk) => [
        `${disk.vm}/${disk.label}`,
        String(disk.capacityBytes),
        String(disk.differingBytes),
        disk.firstDifferenceBytes === null ? '' : String(disk.firstDifferenceBytes),
        disk.fileSystem,
      ]),
    ),
  );
  for (const { path, expected, actual } of comparison.attributes) {
    console.log(`  differs: ${path}: was ${JSON.stringify(expected)}, is ${JSON.stringify(actual)}`);
  }
  if (comparison.attributes.length === 0) console.log('  every captured attribute of the vApp is as it was');
  return { checkpoint, vapp, ...comparison };
}

function secondsOf(run: RunView): number {
  return run.startedAt === null || run.endedAt === null ? 0 : (Date.parse(run.endedAt) - Date.parse(run.startedAt)) / 1000;
}

function heading(text: string): void {
  console.log(`\n${text}`);
}

function sum<T>(items: readonly T[], pick: (item: T) => number): number {
  return items.reduce((total, item) => total + pick(item), 0);
}
