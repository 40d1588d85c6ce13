import { Test, type TestingModule } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import { CatalogModule, CatalogService, type DiskPointRow, type InventorySource, type RestorePointRow } from '../../src/catalog/index.js';
import { DatabaseModule } from '../../src/database/index.js';
import type { VappRecord, VmRecord } from '../../src/vcd/index.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';
import { SettledModule } from '../harness/settled-module.js';

/** The catalog room on a database of its own, and objects of a cloud to put into it. */
export let module: TestingModule;
export let catalog: CatalogService;
/** Another one for every test, so that they share the database. */
export let cloudId: string;

/** Starts the catalog for the spec file that calls this, and stops it after. */
export function useCatalog(): void {
  let database: TestDatabase;
  let clouds = 0;
  beforeAll(async () => {
    database = await startTestDatabase();
    module = await Test.createTestingModule({
      imports: [DatabaseModule.forRoot({ url: database.url, poolSize: 8 }), SettledModule, CatalogModule],
    }).compile();
    await module.init();
    catalog = module.get(CatalogService);
  });
  afterAll(async () => {
    await module?.close();
    await database?.stop();
  });
  beforeEach(() => {
    clouds += 1;
    cloudId = `cloud-${clouds}`;
  });
}

/**
 * What another process asks for last: it has a transaction open and dies while it waits for the answer. `kill` ends its connection, and
 * then itself.
 */
export function lastWait() {
  let reach = () => {};
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  let end = (_death: Error) => {};
  const death = new Promise<never>((_, reject) => {
    end = reject;
  });
  const wait = (): Promise<never> => {
    reach();
    return death;
  };
  const kill = async () => {
    await killWaitingTransaction();
    end(new Error('killed'));
  };
  return { reached, wait, kill };
}

/** Ends the one transaction that waits for something outside, as the death of its process would. */
async function killWaitingTransaction(): Promise<void> {
  const [{ killed }]: [{ killed: number }] = await module.get(DataSource).query(
    `SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 10000))::int AS killed FROM pg_stat_activity
     WHERE datname = current_database() AND state = 'idle in transaction' AND pid <> pg_backend_pid()`,
  );
  expect(killed).toBe(1);
}

export const ORG = 'urn:vcloud:org:0000';
export const VDC = 'urn:vcloud:vdc:0000';

export function vapp(n: number, over: Partial<VappRecord> = {}): VappRecord {
  const uuid = `aaaa-${n}`;
  return {
    id: `urn:vcloud:vapp:${uuid}`,
    name: `vapp ${String(n).padStart(4, '0')}`,
    href: `https://vcd/api/vApp/vapp-${uuid}`,
    vdcId: VDC,
    organizationId: ORG,
    ownerName: 'ann',
    status: 'POWERED_ON',
    vmCount: 2,
    storageKib: 9_000_000_000 + n,
    inMaintenanceMode: false,
    busy: false,
    standalone: false,
    ...over,
  };
}

export function vm(n: number, ofVapp: VappRecord, over: Partial<VmRecord> = {}): VmRecord {
  return {
    id: `urn:vcloud:vm:bbbb-${n}`,
    name: `vm-${n}`,
    href: `https://vcd/api/vApp/vm-bbbb-${n}`,
    vappId: ofVapp.id,
    vdcId: VDC,
    organizationId: ORG,
    status: 'POWERED_ON',
    moRef: `vm-${n}`,
    vimServerId: 'urn:vcloud:vimserver:1',
    hostName: 'esx-1',
    datastoreName: 'ds-1',
    localId: undefined,
    inTemplate: false,
    ...over,
  };
}

export function source(vapps: VappRecord[], vms: VmRecord[] = [], failAfter = Number.POSITIVE_INFINITY): InventorySource {
  async function* list<T>(items: T[], limit = Number.POSITIVE_INFINITY): AsyncGenerator<T> {
    for (const [index, item] of items.entries()) {
      if (index >= limit) throw new Error('the connection broke');
      yield item;
    }
  }
  return {
    organizations: () => list([{ id: ORG, name: 'acme', displayName: 'Acme Inc', href: 'https://vcd/o', enabled: true }]),
    vdcs: () => list([{ id: VDC, name: 'gold', href: 'https://vcd/d', organizationId: ORG, organizationName: 'acme', enabled: true }]),
    vapps: () => list(vapps, failAfter),
    vms: () => list(vms),
    vappTemplates: () => list([]),
    templateVms: () => list([]),
    media: () => list([]),
    namedDisks: () => list([]),
    resources: () => list([]),
    count: async (kind) => ({ organizations: 1, vdcs: 1, vapps: vapps.length, vms: vms.length })[kind as string] ?? 0,
    changedSince: async () => undefined,
    serverTime: async () => new Date(),
    idFilter: (ids) => ids.join(),
    requestCount: 0,
  };
}

export async function names(present?: boolean): Promise<string[]> {
  const page = await catalog.listVapps({ cloudId, limit: 500, ...(present === undefined ? {} : { present }) });
  return page.items.map(({ name }) => name);
}

export async function idOf(name: string): Promise<string> {
  const page = await catalog.listVapps({ cloudId, name, limit: 10 });
  expect(page.items).toHaveLength(1);
  return page.items[0]?.id ?? '';
}

export function point(id: string, vappId: string, createdAt: string, vms: RestorePointRow['vms']): RestorePointRow {
  return {
    id,
    organizationId: ORG,
    cloudId,
    vappId,
    vappName: 'shop',
    sourceKind: 'vapp',
    createdAt,
    kind: 'full',
    runId: 'run-1',
    vmCount: vms.length,
    capacityBytes: 68_182_605_824_000,
    readBytes: 21,
    newBytes: 22,
    storedBytes: 23,
    warnings: ['quiesce failed'],
    complete: true,
    lockedUntil: null,
    copiedAt: null,
    vms,
  };
}

export function diskRow(diskId: string, over: Partial<DiskPointRow> = {}): DiskPointRow {
  return {
    diskId,
    label: 'Hard disk 1',
    deviceKey: 2000,
    uuid: '6000C29a',
    capacityBytes: 68_182_605_824_000,
    allocatedBytes: 11,
    changedBytes: 12,
    readBytes: 13,
    newBytes: 14,
    storedBytes: 15,
    durationMs: 16,
    kind: 'full',
    fullReason: 'first-backup',
    transportMode: 'nbdssl',
    changeId: '52 de/3',
    indexId: 'index-1',
    chunkBytes: 1_048_576,
    ...over,
  };
}
