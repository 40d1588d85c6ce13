import assert from 'node:assert/strict';
import { retry, sleep } from '../../src/common/index.js';
import type { RunView } from '../../src/jobs/index.js';
import type { VcdClient } from '../../src/vcd/index.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';
import { connectProvider } from '../harness/provider-client.js';
import type { GatedRequest, GateMoment, GateOrder } from '../simulator/request-gate.js';
import { type KillMode, killSeed, VAPP } from './kill-modes.js';
import type { KillableService } from './killable-service.js';
import { KillableWorld } from './killable-world.js';

/** One death, and whether the promise held after it. */
export interface KillRow {
  mode: string;
  moment: GateMoment;
  /** Which of the restore's requests that change something. */
  number: number;
  request: string;
  /** What became of the run whose worker died. */
  outcome: 'undone' | 'carried on' | 'unknown';
  faults: string[];
  ms: number;
}

/** First tries may find VCD busy with what the dead worker had begun; the next comes 30 s later. */
const RECOVERY_TIMEOUT_MS = 75_000;
const BYTES_PER_SECTOR = 512;
/** Longer than the shortest: a machine busy with several worlds stalls a living worker for seconds. */
const LEASE = { VAPP_VAULT_LEASE_DURATION_SECONDS: '6', VAPP_VAULT_LEASE_LATE_REQUEST_SECONDS: '18' };
/** A worker that stalls for longer has lost its run all the same, and the run says: start it again. */
const WHERE_THE_MACHINE_STALLS = {
  attempts: 3,
  baseDelayMs: 100,
  maxDelayMs: 1_000,
  deadlineMs: 180_000,
  retryIf: (error: unknown) => /WORKER_LOST/.test(String(error)),
};

/**
 * A cloud with one vApp, its restore point, and workers that are killed at one request after the other. What has to
 * hold after each death: no maintenance mode on, no snapshot of ours, no EndAccess owed, nothing half imported, no VM
 * in vCenter without an owner, no restore point that claims more than it has; the restore point of before restores byte
 * for byte, and the same restore asked again succeeds.
 */
export class KillSweep {
  private worker: KillableService | undefined;
  private spoilt = 0;

  private constructor(
    private readonly database: TestDatabase,
    private readonly world: KillableWorld,
    private readonly vcd: VcdClient,
    private readonly restorePointId: string,
  ) {}

  static async start(): Promise<KillSweep> {
    const database = await startTestDatabase();
    const world = await KillableWorld.start({ VAPP_VAULT_DATABASE_URL: database.url, ...LEASE }, { taskDelayMs: 10, seed: killSeed });
    await world.startService({ VAPP_VAULT_ROLE: 'api' });
    await world.register();
    const vcd = await connectProvider(world.simulator);
    await world.control.checkpoint('first', VAPP);
    const worker = await world.startService({ VAPP_VAULT_ROLE: 'worker' });
    const point = await retry(WHERE_THE_MACHINE_STALLS, async () => (await world.backUp(VAPP))[0]);
    const sweep = new KillSweep(database, world, vcd, String(point));
    sweep.worker = worker;
    return sweep;
  }

  async close(): Promise<void> {
    this.world.simulator.gate.release(false);
    await this.vcd.close();
    await this.world.close();
    await this.database.stop();
  }

  /** @returns undefined when the restore ended before that request: there are no more. */
  async kill(mode: KillMode, order: GateOrder): Promise<KillRow | undefined> {
    const startedMs = performance.now();
    await this.bringTo(mode);
    const { gate } = this.world.simulator;
    const reached = gate.hold(order);
    const run = await this.ask(mode);
    const ended = this.world.ended(run);
    const held = await Promise.race([reached, ended]);
    if ('endedAt' in held) {
      gate.release(false);
      assert.equal(held.error, null, `The ${mode.name} that nobody disturbed failed: ${JSON.stringify(held.error)}`);
      await this.clearAway(mode);
      return undefined;
    }
    const row: KillRow = {
      mode: mode.name,
      moment: order.moment,
      number: order.number,
      request: nameOf(held),
      outcome: 'unknown',
      faults: [],
      ms: 0,
    };
    const [survivors, successor] = await Promise.all([this.worker?.kill(), this.world.startService({ VAPP_VAULT_ROLE: 'worker' })]);
    gate.release(false);
    this.worker = successor;
    const check = async (work: () => Promise<void>) => {
      try {
        await work();
      } catch (error) {
        row.faults.push((error as Error).message);
      }
    };
    await check(async () => assert.deepEqual(survivors, [], 'processes outlived the worker'));
    await check(async () => {
      row.outcome = outcomeOf(await ended);
    });
    const made = mode.makes !== undefined && row.outcome === 'carried on' ? mode.makes : undefined;
    const expected = [...new Set([...(mode.begins === 'gone' ? [] : [VAPP]), ...(made === undefined ? [] : [made])])];
    await check(() => this.world.expectNothingOwed(expected, RECOVERY_TIMEOUT_MS));
    if (row.outcome === 'carried on') await check(() => this.assertRestored(mode));
    await check(async () => {
      if (made !== undefined) await this.clearAway(mode);
      await retry(WHERE_THE_MACHINE_STALLS, async () => {
        const again = await this.world.ended(await this.ask(mode));
        assert.equal(again.error, null, `asked again: ${JSON.stringify(again.error)}`);
      });
      await this.assertRestored(mode);
    });
    await check(() => this.clearAway(mode));
    return { ...row, ms: Math.round(performance.now() - startedMs) };
  }

  private ask(mode: KillMode): Promise<RunView> {
    // One VM after the other: request number n is the same one each time.
    return this.world.api.post<RunView>('/api/v1/restores', { restorePointId: this.restorePointId, parallelVms: 1, ...mode.request });
  }

  private async bringTo(mode: KillMode): Promise<void> {
    if (mode.begins === 'gone') await this.delete(VAPP);
    await this.deleteDetachedDisks();
    if (mode.begins === 'gone') return;
    this.spoilt += 1;
    for (const vm of ['web-1', 'db-1']) {
      await this.world.control.guestWrite(vm, { disk: 0, seed: `${vm}-${this.spoilt}`, scatteredBlocks: 12 });
    }
    if (mode.begins === 'half-written') await this.writeHalf(mode);
  }

  private async writeHalf(mode: KillMode): Promise<void> {
    const { gate } = this.world.simulator;
    const writing = gate.hold({ number: 1, moment: 'after', matching: ({ method }) => method === 'written' });
    const run = await this.ask(mode);
    await writing;
    await this.world.api.post(`/api/v1/runs/${run.id}/cancel`, {});
    gate.release(true);
    assert.equal((await this.world.ended(run)).state, 'cancelled');
  }

  private async assertRestored(mode: KillMode): Promise<void> {
    const { vms, ignore, ignoreName } = mode.restores;
    const comparison = await this.world.control.compare('first', mode.makes ?? VAPP, {
      ignore: [...ignore],
      ignoreName: ignoreName ?? false,
    });
    const different = comparison.disks.filter(
      (disk) => vms.includes(disk.vm) && (disk.differingBytes > 0 || disk.fileSystem === 'damaged'),
    );
    const sectors = different.map((disk) => `${disk.vm}/${disk.label}: ${Math.ceil(disk.differingBytes / BYTES_PER_SECTOR)} sectors`);
    assert.deepEqual(sectors, [], 'disks differ');
    assert.deepEqual(comparison.attributes, [], 'attributes differ');
  }

  /** What the restore made and the next one makes again. */
  private async clearAway(mode: KillMode): Promise<void> {
    if (mode.makes !== undefined) await this.delete(mode.makes);
  }

  /** Those of VMs that went: as many as there were restores, and VDCs have a limit. */
  private async deleteDetachedDisks(): Promise<void> {
    const detached: string[] = [];
    for await (const disk of this.vcd.namedDisks()) if (disk.attachedVmCount === 0) detached.push(disk.href);
    for (const href of detached) await this.vcd.deleteNamedDisk(href);
  }

  private async delete(vappName: string): Promise<void> {
    for await (const vapp of this.vcd.vapps(`name==${vappName}`)) await this.vcd.deleteVapp(vapp.href);
    for (let looks = 0; (await this.world.state()).vapps.some(({ name }) => name === vappName); looks += 1) {
      if (looks > 500) throw new Error(`vApp "${vappName}" does not go away`);
      await sleep(20);
    }
  }
}

function nameOf({ door, method, object }: GatedRequest): string {
  return `${door} ${method} ${object.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '…')}`;
}

function outcomeOf(run: RunView): KillRow['outcome'] {
  if (run.state === 'warning' && run.result !== null) return 'carried on';
  assert.equal(run.error?.code, 'WORKER_LOST', `the run ended as ${run.state}: ${JSON.stringify(run.error)}`);
  return 'undone';
}
