import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RestorePointRow } from '../../src/catalog/index.js';
import { sleep } from '../../src/common/index.js';
import type { RunView } from '../../src/jobs/index.js';
import { FAULT_SEED } from '../fault/fault-seed.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';
import type { GatedRequest } from '../simulator/request-gate.js';
import { World } from './world.js';

const LIVE = 'vapp_vault_live';

/** A dump is taken in the middle of a restore, the restore ends well, and hours later the dump is put back. */
describe('a dump that is older than the end of a restore', () => {
  let database: TestDatabase;
  let world: World;
  let point: RestorePointRow;
  const urlOf = (name: string) => database.url.replace(/@localhost\/\w+/, `@localhost/${name}`);

  async function withClient<T>(name: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = new pg.Client({ connectionString: urlOf(name) });
    await client.connect();
    try {
      return await use(client);
    } finally {
      await client.end();
    }
  }

  beforeAll(async () => {
    database = await startTestDatabase();
    await withClient('postgres', (client) => client.query(`CREATE DATABASE ${LIVE} TEMPLATE template0`));
    world = await World.start({ seed: FAULT_SEED, environment: { VAPP_VAULT_DATABASE_URL: urlOf(LIVE) } });
    await world.register();
    point = await world.backUp('shop');
  });
  afterAll(async () => {
    await world?.close();
    await database?.stop();
  });

  /** Of all that a dump holds, what it knows of runs and debts. */
  const dump = () =>
    withClient(LIVE, async (client) => {
      const { rows } = await client.query<{ runs: unknown; obligations: unknown }>(
        `SELECT (SELECT jsonb_agg(to_jsonb(r)) FROM runs r) AS runs, (SELECT jsonb_agg(to_jsonb(o)) FROM obligations o) AS obligations`,
      );
      return rows[0] as { runs: unknown; obligations: unknown };
    });

  /** Into a database of its own, in the place of the one that was there. */
  async function putBack({ runs, obligations }: { runs: unknown; obligations: unknown }): Promise<void> {
    await withClient('postgres', async (client) => {
      await client.query(`ALTER DATABASE ${LIVE} RENAME TO former`);
      await client.query(`CREATE DATABASE ${LIVE} TEMPLATE former`);
      await client.query('DROP DATABASE former');
    });
    await withClient(LIVE, async (client) => {
      await client.query('TRUNCATE obligations, runs CASCADE');
      await client.query('INSERT INTO runs SELECT * FROM jsonb_populate_recordset(NULL::runs, $1)', [JSON.stringify(runs)]);
      await client.query('INSERT INTO obligations OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_recordset(NULL::obligations, $1)', [
        JSON.stringify(obligations),
      ]);
    });
  }

  interface State {
    vapps: { id: string; name: string; vms: { name: string; moRef: string }[] }[];
    vcenterVms: { moRef: string }[];
  }
  const cloud = async () => {
    const { vapps, vcenterVms } = await world.control.state<State>();
    return { vapps: vapps.map(({ id, name, vms }) => ({ id, name, vms })), moRefs: vcenterVms.map(({ moRef }) => moRef) };
  };

  async function nothingOwed(): Promise<void> {
    for (let looks = 0; (await world.openObligations()).length > 0; looks += 1) {
      if (looks > 600) throw new Error(`Still owed: ${JSON.stringify(await world.openObligations())}`);
      await sleep(50);
    }
  }

  it.each([
    {
      request: { mode: 'copy', name: 'shop-copy' },
      at: ({ door, object }: GatedRequest) => door === 'vcd' && /importVmIntoExistingVApp$/.test(object),
      kinds: ['vcd.vapp', 'vsphere.vm'],
      end: { state: 'failed', error: { code: 'DATABASE_PUT_BACK' } },
    },
    {
      request: { mode: 'recreate' },
      at: ({ method, object }: GatedRequest) => method === 'DELETE' && object.includes('/vapp-'),
      kinds: ['vcd.replace'],
      end: { state: 'warning', error: null, result: { vappName: 'shop' } },
    },
  ])(
    'deletes nothing and changes nothing when it is put back: $request.mode',
    { timeout: 180_000 },
    async ({ request, at, kinds, end }) => {
      const { gate } = world.simulator;
      const reached = gate.hold({ number: 1, moment: 'before', matching: at });
      const run = await world.api.post<RunView>('/api/v1/restores', { restorePointId: point.id, ...request });
      await reached;
      const dumped = await dump();
      gate.release(true);
      expect((await world.finish(run)).error).toBeNull();
      const before = await cloud();

      gate.startNoting();
      await world.restart(() => putBack(dumped));
      const ended = await world.finish(run);
      await nothingOwed();
      const asked = gate.stopNoting().filter(({ door, method }) => door === 'vcd' && method !== 'GET' && method !== 'HEAD');
      expect(await cloud()).toEqual(before);
      expect(asked.filter(({ object }) => /vApp|disk/.test(object))).toEqual([]);
      expect(ended).toMatchObject(end);
      for (const kind of kinds) expect(ended.warnings).toContainEqual(expect.stringContaining(`(debt "${kind}")`));
    },
  );
});
