import { DemoFailure } from './failure.js';
import type { ServiceClient } from './service-client.js';

interface Effective {
  history: { runId: string }[];
}

const POLL_MS = 250;
const PATIENCE_MS = 5 * 60_000;
/** The service looks every second: it must have seen the new schedule before the minute it names. */
const AHEAD_MS = 5_000;

/** The policy that makes the demo's backups: the service begins them by itself, when they are due. */
export class DemoPolicy {
  private readonly seen = new Set<string>();

  private constructor(
    private readonly service: ServiceClient,
    private readonly id: string,
    private readonly text: Record<string, unknown>,
    private readonly vappId: string,
  ) {}

  /** One that wants a restore point a day: the first is due at once. */
  static async make(service: ServiceClient, cloudId: string, vapp: { id: string; name: string }): Promise<DemoPolicy> {
    const text = { name: 'demo', scope: { cloudId, vappNames: [vapp.name] }, retention: { keepLast: 14, monthly: 12 } };
    const schedule = { rpoHours: 24, spreadMinutes: 0 };
    const { id } = await service.post<{ id: string }>('/api/v1/policies', { ...text, schedule });
    console.log(`  policy "demo": no restore point of "${vapp.name}" older than 24 hours; the last 14 are kept, and 12 months`);
    return new DemoPolicy(service, id, text, vapp.id);
  }

  /** Another schedule: once a day, at the next full minute. */
  async moveToNextMinute(): Promise<void> {
    const at = new Date(Math.ceil((Date.now() + AHEAD_MS) / 60_000) * 60_000);
    const cron = `${at.getUTCMinutes()} ${at.getUTCHours()} * * *`;
    await this.service.put(`/api/v1/policies/${this.id}`, { ...this.text, schedule: { cron, timeZone: 'UTC', spreadMinutes: 0 } });
    console.log(`  policy "demo": every day at ${at.toISOString().slice(11, 16)} UTC`);
  }

  /** The next run that the policy makes, as soon as it has made it. */
  async nextRun(): Promise<{ id: string }> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const { history } = await this.service.get<Effective>(`/api/v1/policies/effective?vapp=${this.vappId}`);
      const run = history.find(({ runId }) => !this.seen.has(runId));
      if (run !== undefined) {
        this.seen.add(run.runId);
        return { id: run.runId };
      }
      if (Date.now() > deadline) throw new DemoFailure('the policy has made no backup');
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}
