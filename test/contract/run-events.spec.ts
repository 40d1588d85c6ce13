/** Live events of runs over HTTP, as a browser would read them. */
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLogger, sleep } from '../../src/common/index.js';
import { loadConfig } from '../../src/config/index.js';
import { startDatabase } from '../../src/database/index.js';
import type { RunView } from '../../src/jobs/index.js';
import { type RunningService, startService } from '../../src/service.js';
import { makeDataDir } from '../harness/database.js';
import { DataSource } from 'typeorm';

const TENANT = 'urn:vcloud:org:3880956d-7b1c-4d3e-9a52-0d6a3f5f1c11';

interface Event {
  id: string | undefined;
  event: string;
  data: Partial<RunView>;
}

describe('events of runs', () => {
  const apiKey = `vv_${randomBytes(32).toString('base64url')}`;
  let dataDir: string;
  let service: RunningService;
  let database: Awaited<ReturnType<typeof startDatabase>>;
  let sql: DataSource;
  let tenantKey: string;

  beforeAll(async () => {
    dataDir = await makeDataDir();
    database = await startDatabase({ url: undefined, dataDir, poolSize: 8, startTimeoutMs: 60_000, log: silentLogger });
    const config = loadConfig({
      VAPP_VAULT_DATA_DIR: dataDir,
      VAPP_VAULT_PORT: '0',
      VAPP_VAULT_DATABASE_URL: database.url,
      VAPP_VAULT_ROLE: 'api',
    });
    service = await startService(config, {
      log: silentLogger,
      initialApiKey: apiKey,
      jobs: { eventPollMs: 30, eventHeartbeatMs: 200, eventStallMs: 500 },
    });
    sql = await new DataSource({ type: 'postgres', url: database.url }).initialize();
    const made = await fetch(`${service.url}/api/v1/api-keys`, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'tenant', role: 'organization-admin', organizationId: TENANT }),
    });
    ({ key: tenantKey } = (await made.json()) as { key: string });
  });
  afterAll(async () => {
    await sql?.destroy();
    await service?.close();
    await database?.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  let made = 0;
  async function makeRun(organizationId = TENANT, state = 'queued'): Promise<string> {
    made += 1;
    const id = `01900000-0000-7000-8000-${String(made).padStart(12, '0')}`;
    await sql.query(
      `INSERT INTO runs (id, kind, state, subject, organization_id, payload) VALUES ($1, 'backup', $2, 'vApp "shop"', $3, '{}')`,
      [id, state, organizationId],
    );
    return id;
  }
  const change = (id: string, set: string) =>
    sql.query(`UPDATE runs SET ${set}, revision = revision + 1, changed_xid = pg_current_xact_id() WHERE id = $1`, [id]);

  /** A client that reads as fast as it can. */
  async function listen(path: string, { key = apiKey, lastEventId }: { key?: string; lastEventId?: string } = {}) {
    const gone = new AbortController();
    const response = await fetch(`${service.url}/api/v1/runs${path}`, {
      headers: { authorization: `Bearer ${key}`, ...(lastEventId !== undefined && { 'last-event-id': lastEventId }) },
      signal: gone.signal,
    });
    const events: Event[] = [];
    let comments = 0;
    let over = false;
    const reading = (async () => {
      let rest = '';
      for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        const blocks = (rest + piece).split('\n\n');
        rest = blocks.pop() as string;
        for (const block of blocks) {
          if (block.startsWith(':')) comments += 1;
          const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
          const event = field('event');
          if (event !== undefined) events.push({ id: field('id'), event, data: JSON.parse(field('data') ?? '{}') as Partial<RunView> });
        }
      }
      over = true;
    })().catch(() => {
      over = true;
    });
    const until = async (what: () => boolean) => {
      for (const deadline = performance.now() + 10_000; !what(); await sleep(10)) {
        if (performance.now() > deadline) throw new Error(`Still waiting: ${what.toString()} in ${JSON.stringify(events)}`);
      }
    };
    return {
      status: response.status,
      events,
      until,
      comments: () => comments,
      over: () => over,
      close: async () => {
        gone.abort();
        await reading;
      },
    };
  }

  it('of one run go from what it is to its end, and tell each change once', async () => {
    const id = await makeRun();
    const client = await listen(`/${id}/events`);
    await client.until(() => client.events.length >= 1);
    await change(
      id,
      `progress = '{"web/Hard disk 1": {"doneBytes": 4398046511104, "totalBytes": 8796093022208, "bytesPerSecond": 1073741824}}'`,
    );
    await client.until(() => client.events.length === 2);
    expect(client.events[1]?.data.transfer).toMatchObject({
      doneBytes: 2 ** 42,
      totalBytes: 2 ** 43,
      vms: [{ name: 'web', disks: [{ name: 'Hard disk 1' }] }],
    });
    await change(id, `state = 'succeeded', ended_at = now()`);
    await client.until(() => client.over());
    expect(client.events.map(({ id: eventId, data }) => [eventId, data.state])).toEqual([
      ['0', 'queued'],
      ['1', 'queued'],
      ['2', 'succeeded'],
    ]);
    // Whoever comes back gets what is new, and no stream where nothing will come.
    const again = await listen(`/${id}/events`, { lastEventId: '1' });
    await again.until(() => again.over());
    expect(again.events.map((event) => event.id)).toEqual(['2']);
    expect((await listen(`/${id}/events`, { lastEventId: '2' })).status).toBe(204);
    expect((await listen('/nobody/events')).status).toBe(404);
  });

  it('of all runs begin with what comes, and go on where the reader was cut off', async () => {
    const id = await makeRun();
    const client = await listen('/events');
    await client.until(() => client.events[0]?.event === 'ready');
    await change(id, `subject = 'first'`);
    await client.until(() => client.events.some(({ data }) => data.subject === 'first'));
    await client.until(() => client.events.at(-1)?.id !== undefined);
    const lastEventId = client.events.at(-1)?.id as string;
    await client.close();
    await change(id, `subject = 'second'`);
    const other = await makeRun('org-2');
    const again = await listen('/events', { lastEventId });
    await again.until(() => again.events.some(({ event }) => event === 'ready'));
    const subjects = again.events.filter(({ event }) => event === 'run').map(({ data }) => [data.id, data.subject]);
    expect(subjects).toEqual(
      expect.arrayContaining([
        [id, 'second'],
        [other, 'vApp "shop"'],
      ]),
    );
    await change(id, `subject = 'third'`);
    await again.until(() => again.events.some(({ data }) => data.subject === 'third'));
    await again.close();
  });

  it('are found although they were committed after later ones', async () => {
    const [slow, fast] = [await makeRun(), await makeRun()];
    const client = await listen('/events');
    // What anybody else's transaction of that moment holds back comes again: not only that is there.
    await client.until(() => client.events.some(({ event }) => event === 'ready'));
    const runner = sql.createQueryRunner();
    await runner.startTransaction();
    await runner.query(`UPDATE runs SET subject = 'slow', revision = revision + 1, changed_xid = pg_current_xact_id() WHERE id = $1`, [
      slow,
    ]);
    await change(fast, `subject = 'fast'`);
    await client.until(() => client.events.some(({ data }) => data.subject === 'fast'));
    await runner.commitTransaction();
    await runner.release();
    await client.until(() => client.events.some(({ data }) => data.subject === 'slow'));
    expect(client.events.filter(({ data }) => data.subject === 'fast')).toHaveLength(1);
    await client.close();
  });

  it('say when too much was missed, or the cursor is of another database', async () => {
    for (const lastEventId of ['0', '9223372036854775806']) {
      if (lastEventId === '0') {
        await sql.query(`INSERT INTO runs (id, kind, state, subject, organization_id, payload)
          SELECT 'old-' || n, 'backup', 'queued', 'old', 'org-9', '{}' FROM generate_series(1, 1100) n`);
      }
      const client = await listen('/events', { lastEventId });
      await client.until(() => client.events.length > 0);
      expect(client.events[0]).toMatchObject({ event: 'reset', id: expect.stringMatching(/^\d+$/) });
      await client.close();
    }
    await sql.query(`DELETE FROM runs WHERE id LIKE 'old-%'`);
  });

  it('are of the reader’s own organization, as is everything of runs', async () => {
    const [own, foreign] = [await makeRun(TENANT), await makeRun('org-2')];
    const client = await listen('/events', { key: tenantKey });
    await client.until(() => client.events.length >= 1);
    await change(foreign, `subject = 'foreign'`);
    await change(own, `subject = 'own'`);
    // While another transaction is open, that it was made comes as late as that it changed, and both at once.
    await client.until(() => client.events.some(({ data }) => data.subject === 'own'));
    expect(new Set(client.events.slice(1).map(({ data }) => data.id))).toEqual(new Set([own]));
    await client.close();
    const ask = async (path: string, method = 'GET') =>
      (await fetch(`${service.url}/api/v1/runs${path}`, { method, headers: { authorization: `Bearer ${tenantKey}` } })).status;
    expect(await ask(`/${own}`)).toBe(200);
    expect(await ask(`/${foreign}`)).toBe(404);
    expect(await ask(`/${foreign}/events`)).toBe(404);
    expect(await ask(`/${foreign}/cancel`, 'POST')).toBe(404);
    expect(await ask(`/${foreign}/retry`, 'POST')).toBe(404);
    const list = (await (
      await fetch(`${service.url}/api/v1/runs?limit=200`, { headers: { authorization: `Bearer ${tenantKey}` } })
    ).json()) as {
      items: RunView[];
    };
    expect(new Set(list.items.map(({ organizationId }) => organizationId))).toEqual(new Set([TENANT]));
    expect((await fetch(`${service.url}/metrics`, { headers: { authorization: `Bearer ${tenantKey}` } })).status).toBe(403);
  });

  it('keep a quiet connection alive by comments', async () => {
    const client = await listen('/events');
    await client.until(() => client.comments() >= 2);
    expect(client.events).toHaveLength(1);
    await client.close();
  });

  it('are cut off for a client that takes nothing, which costs no memory and nobody else anything', async () => {
    const { hostname, port } = new URL(service.url as string);
    const id = await makeRun('org-3');
    const socket = connect(Number(port), hostname);
    socket.write(`GET /api/v1/runs/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${apiKey}\r\n\r\n`);
    await new Promise((resolve) => socket.once('data', resolve));
    socket.pause();
    const reader = await listen('/events');
    let closed = false;
    socket.on('close', () => {
      closed = true;
    });
    socket.on('error', () => undefined);
    // More than both sides' kernels keep for a connection, and each text another one.
    const [large, events] = ['x'.repeat(1_000_000), 12];
    for (const deadline = performance.now() + 40_000; !closed && performance.now() < deadline; ) {
      socket.pause();
      const seen = reader.events.length + events;
      for (let n = 0; reader.events.length < seen && performance.now() < deadline; n += 1) {
        await change(id, `warnings = jsonb_build_array('${large}${n}')`);
        await sleep(40);
      }
      await sleep(1_000);
      // Its end is seen only when what lies in the socket has been taken.
      socket.resume();
      for (let looks = 0; !closed && looks < 50; looks += 1) await sleep(20);
    }
    expect(closed).toBe(true);
    expect(reader.over()).toBe(false);
    await reader.close();
  });
});
