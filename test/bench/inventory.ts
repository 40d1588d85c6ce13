import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CatalogModule, CatalogService, type InventoryCounts } from '../../src/catalog/index.js';
import { MIB } from '../../src/common/index.js';
import { DatabaseModule } from '../../src/database/index.js';
import { VcdClient } from '../../src/vcd/index.js';
import { makeDataDir, startTestDatabase } from '../harness/database.js';
import { SettledModule } from '../harness/settled-module.js';
import { atMost, type BenchOptions, type BenchRow, exactly } from './bench.js';
import { SimulatorProcess } from './simulator-process.js';

interface Size {
  organizations: number;
  vdcs: number;
  vapps: number;
  vms: number;
}

/** CPU seconds are those of this process, which a busy machine does not make longer. */
interface Limits {
  requests: number;
  seconds: number;
  cpuSeconds: number;
  memoryMib: number;
  refreshRequests: number;
  refreshSeconds: number;
  refreshCpuSeconds: number;
}

/** What is asked of an inventory of that size, and of the refresh after `renamed` vApps were renamed and `deleted` deleted. */
interface Plan {
  size: Size;
  renamed: number;
  deleted: number;
  limits: Limits;
}

const LARGE: Plan = {
  size: { organizations: 1_000, vdcs: 2_000, vapps: 10_000, vms: 30_000 },
  renamed: 40,
  deleted: 10,
  limits: { requests: 799, seconds: 60, cpuSeconds: 15, memoryMib: 400, refreshRequests: 60, refreshSeconds: 10, refreshCpuSeconds: 2 },
};
/** Several pages of VMs, and time and memory that any machine has. */
const SMALL: Plan = {
  size: { organizations: 10, vdcs: 20, vapps: 100, vms: 300 },
  renamed: 4,
  deleted: 2,
  limits: { requests: 60, seconds: 60, cpuSeconds: 20, memoryMib: 400, refreshRequests: 30, refreshSeconds: 60, refreshCpuSeconds: 10 },
};

@Module({})
class BenchModule {}

/**
 * The service's own inventory, client and catalog on a real PostgreSQL, of a large cloud that runs in
 * another process; then changes over the vCloud API, and the refresh that has to find them.
 */
export async function inventory({ small, say }: BenchOptions): Promise<BenchRow[]> {
  const plan = small ? SMALL : LARGE;
  const dataDir = await makeDataDir();
  const closers: (() => Promise<unknown>)[] = [() => rm(dataDir, { recursive: true, force: true })];
  try {
    const size = Object.entries(plan.size).map(([kind, count]) => `${kind}=${count}`);
    say(`Generating a cloud of ${size.join(', ')} …`);
    const simulator = await SimulatorProcess.start(['--data', join(dataDir, 'cloud'), '--generate', size.join(',')]);
    closers.push(() => simulator.stop());
    const database = await startTestDatabase();
    closers.push(() => database.stop());
    const imports = [DatabaseModule.forRoot({ url: database.url, poolSize: 8 }), SettledModule, CatalogModule];
    const application = await NestFactory.createApplicationContext({ module: BenchModule, imports }, { logger: false });
    closers.push(() => application.close());
    const { thumbprintSha256, ...login } = simulator.description.vcd;
    const { url, organization, userName, password } = login;
    const client = await VcdClient.connect({ url, organization, userName, password, trust: { thumbprint: thumbprintSha256 } });
    closers.push(() => client.close());
    return await measure(plan, application.get(CatalogService), client, say);
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

const CLOUD_ID = 'bench';

async function measure(plan: Plan, catalog: CatalogService, client: VcdClient, say: BenchOptions['say']): Promise<BenchRow[]> {
  const { limits } = plan;
  say('Taking the inventory …');
  const full = await timed(client, () => catalog.saveInventory(CLOUD_ID, client));
  const memoryMib = peakMemoryMib();
  say(`Renaming ${plan.renamed} vApps and deleting ${plan.deleted} …`);
  const changed = await changeVapps(client, plan);
  say('Refreshing …');
  const refresh = await timed(client, () => catalog.saveInventory(CLOUD_ID, client));
  return [
    exactly('organizations', full.counts.organizations - 1, 'objects', plan.size.organizations),
    exactly('VDCs', full.counts.vdcs, 'objects', plan.size.vdcs),
    exactly('vApps', full.counts.vapps, 'objects', plan.size.vapps),
    exactly('VMs', full.counts.vms, 'objects', plan.size.vms),
    atMost('inventory: requests', full.requests, 'requests', limits.requests),
    atMost('inventory: time', full.seconds, 's', limits.seconds),
    atMost('inventory: CPU time', full.cpuSeconds, 's', limits.cpuSeconds),
    atMost('inventory: peak memory', memoryMib, 'MiB', limits.memoryMib),
    exactly('refresh: whole inventories', refresh.counts.mode === 'full' ? 1 : 0, 'objects', 0),
    atMost('refresh: requests', refresh.requests, 'requests', limits.refreshRequests),
    atMost('refresh: time', refresh.seconds, 's', limits.refreshSeconds),
    atMost('refresh: CPU time', refresh.cpuSeconds, 's', limits.refreshCpuSeconds),
    exactly('refresh: renamed vApps seen', await countNamed(catalog, changed.renamedTo), 'objects', plan.renamed),
    exactly('refresh: deleted vApps vanished', refresh.counts.vanishedVapps, 'objects', plan.deleted),
    exactly('refresh: VMs left', refresh.counts.vms, 'objects', plan.size.vms - changed.deletedVms),
    atMost('peak memory to the end', peakMemoryMib(), 'MiB', limits.memoryMib),
  ];
}

interface Measured {
  counts: InventoryCounts;
  /** Counted at the client, repeated ones included. */
  requests: number;
  seconds: number;
  /** User and system time of this process, other threads of its included. */
  cpuSeconds: number;
}

async function timed(client: VcdClient, work: () => Promise<InventoryCounts>): Promise<Measured> {
  const requestsBefore = client.requestCount;
  const startedMs = performance.now();
  const cpuBefore = process.cpuUsage();
  const counts = await work();
  const { user, system } = process.cpuUsage(cpuBefore);
  const seconds = (performance.now() - startedMs) / 1000;
  return { counts, requests: client.requestCount - requestsBefore, seconds, cpuSeconds: (user + system) / 1e6 };
}

/** As tenants would, spread over the cloud. */
async function changeVapps(client: VcdClient, plan: Plan): Promise<{ renamedTo: Set<string>; deletedVms: number }> {
  const step = Math.floor(plan.size.vapps / (plan.renamed + plan.deleted));
  const chosen: { href: string; name: string; vmCount: number }[] = [];
  let at = 0;
  for await (const { href, name, vmCount } of client.vapps()) {
    if (at % step === 0 && chosen.length < plan.renamed + plan.deleted) chosen.push({ href, name, vmCount });
    at += 1;
  }
  const renamedTo = new Set<string>();
  for (const { href, name } of chosen.slice(0, plan.renamed)) {
    renamedTo.add(`${name}-renamed`);
    await client.writeVapp(href, { name: `${name}-renamed` });
  }
  let deletedVms = 0;
  for (const { href, vmCount } of chosen.slice(plan.renamed)) {
    deletedVms += vmCount;
    await client.deleteVapp(href);
  }
  return { renamedTo, deletedVms };
}

async function countNamed(catalog: CatalogService, names: ReadonlySet<string>): Promise<number> {
  const { items } = await catalog.listVapps({ cloudId: CLOUD_ID, name: '-renamed', present: true, limit: 500 });
  return items.filter(({ name }) => names.has(name)).length;
}

/** Of this process since its start; Linux and macOS through Node tell kibibytes. */
function peakMemoryMib(): number {
  return (process.resourceUsage().maxRSS * 1024) / MIB;
}
