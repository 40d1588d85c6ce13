import { collectDefaultMetrics, Counter, Gauge, type Metric, Registry } from 'prom-client';
import type { AlertService } from '../alerts/index.js';
import type { RunFigures, RunHealthService } from '../jobs/index.js';
import type { Site } from '../repository/index.js';
import type { RepositorySpace } from './repository-space.js';

const PREFIX = 'vapp_vault_';
const SITES: readonly Site[] = ['first', 'second'];

/**
 * The service's figures as Prometheus reads them. Every figure of runs comes from the database, so that it is of all workers,
 * which do not listen; a question costs a handful of small queries. Figures of the process itself are this process's.
 */
export class Metrics {
  private readonly registry = new Registry();
  private readonly runs = this.gauge('runs', 'Runs that wait or are under way', ['kind', 'state']);
  private readonly ended = this.counter('runs_ended_total', 'Runs that have ended', ['kind', 'state']);
  private readonly oldestWait = this.gauge('queue_oldest_seconds', 'How long the oldest waiting run has waited');
  private readonly organizations = this.gauge('queue_organizations', 'Organizations that have waiting runs');
  private readonly bytesRead = this.counter('bytes_read_total', 'Bytes that backups have read from disks');
  private readonly bytesStored = this.counter('bytes_stored_total', 'Bytes that backups have added to the repository');
  private readonly bytesRestored = this.counter('bytes_restored_total', 'Bytes that restores have written to disks');
  private readonly leasesLost = this.counter('leases_lost_total', 'Runs whose worker was found dead');
  private readonly obligations = this.gauge('obligations_open', 'What is owed to clouds just now');
  private readonly oldestObligation = this.gauge('obligations_oldest_seconds', 'Age of the oldest of them');
  private readonly permits = this.gauge('disk_permits', 'Permits for open disks', ['state']);
  private readonly freeBytes = this.gauge('repository_free_bytes', "Free bytes of a folder repository's file system", ['site']);
  private readonly sizeBytes = this.gauge('repository_size_bytes', 'All bytes of it', ['site']);
  private readonly firing = this.gauge('alerts_firing', 'Alerts that fire', ['kind', 'severity']);
  private readonly messages = this.gauge('alert_messages', 'Messages of alerts that are not delivered', ['channel', 'state']);
  private readonly sourceFailing = this.gauge('alert_source_failing', 'Whether this process could not look for alerts', ['kind']);
  private readonly durations = new StoredHistogram(`${PREFIX}run_duration_seconds`, 'Time from begin to end of runs');

  constructor(
    private readonly health: Pick<RunHealthService, 'figures'>,
    private readonly alerts: Pick<AlertService, 'countFiring' | 'countMessages' | 'sourceStates'>,
    private readonly repository: Pick<RepositorySpace, 'read'>,
  ) {
    this.registry.registerMetric(this.durations as unknown as Metric);
    collectDefaultMetrics({ register: this.registry });
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  async text(): Promise<string> {
    const [figures, firing, messages, ...spaces] = await Promise.all([
      this.health.figures(),
      this.alerts.countFiring(),
      this.alerts.countMessages(),
      // Away, not mounted or hanging: the figure is missing, and the rest is there.
      ...SITES.map((site) => this.repository.read(site).catch(() => undefined)),
    ]);
    this.setRuns(figures);
    this.firing.reset();
    for (const { kind, severity, count } of firing) this.firing.set({ kind, severity }, count);
    this.messages.reset();
    for (const { channel, waiting, givenUp, refused } of messages) {
      this.messages.set({ channel, state: 'waiting' }, waiting);
      this.messages.set({ channel, state: 'given_up' }, givenUp);
      this.messages.set({ channel, state: 'refused' }, refused);
    }
    for (const { kind, isFailing } of this.alerts.sourceStates()) this.sourceFailing.set({ kind }, isFailing ? 1 : 0);
    this.freeBytes.reset();
    this.sizeBytes.reset();
    for (const [number, site] of SITES.entries()) {
      const space = spaces[number];
      if (space === undefined) continue;
      this.freeBytes.set({ site }, space.freeBytes);
      this.sizeBytes.set({ site }, space.sizeBytes);
    }
    return await this.registry.metrics();
  }

  private setRuns(figures: RunFigures): void {
    this.runs.reset();
    for (const { kind, state, runs } of figures.now) this.runs.set({ kind, state }, runs);
    this.ended.reset();
    for (const { kind, state, runs } of figures.ended) this.ended.inc({ kind, state }, runs);
    this.durations.set(figures);
    this.oldestWait.set(figures.oldestWaitSeconds);
    this.organizations.set(figures.waitingOrganizations);
    this.obligations.set(figures.openObligations);
    this.oldestObligation.set(figures.oldestObligationSeconds);
    this.permits.set({ state: 'held' }, figures.permitsHeld);
    this.permits.set({ state: 'waiting' }, figures.permitsWaiting);
    const totals: [Counter, string][] = [
      [this.bytesRead, 'bytes_read'],
      [this.bytesStored, 'bytes_stored'],
      [this.bytesRestored, 'bytes_restored'],
      [this.leasesLost, 'leases_lost'],
    ];
    for (const [counter, name] of totals) {
      counter.reset();
      counter.inc(figures.totals[name] ?? 0);
    }
  }

  private gauge(name: string, help: string, labelNames: string[] = []): Gauge {
    return new Gauge({ name: PREFIX + name, help, labelNames, registers: [this.registry] });
  }

  private counter(name: string, help: string, labelNames: string[] = []): Counter {
    return new Counter({ name: PREFIX + name, help, labelNames, registers: [this.registry] });
  }
}

interface StoredValue {
  metricName: string;
  value: number;
  labels: Record<string, string | number>;
}

/** A histogram whose counts come ready from the database: prom-client's own can only observe. */
class StoredHistogram {
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  private values: StoredValue[] = [];

  constructor(
    readonly name: string,
    readonly help: string,
  ) {}

  set({ ended, boundsSeconds }: RunFigures): void {
    const byKind = new Map<string, { runs: number; seconds: number; buckets: number[] }>();
    for (const { kind, runs, seconds, buckets } of ended) {
      const sum = byKind.get(kind) ?? { runs: 0, seconds: 0, buckets: boundsSeconds.map(() => 0) };
      byKind.set(kind, {
        runs: sum.runs + runs,
        seconds: sum.seconds + seconds,
        buckets: sum.buckets.map((count, at) => count + (buckets[at] ?? 0)),
      });
    }
    this.values = [...byKind].flatMap(([kind, { runs, seconds, buckets }]): StoredValue[] => [
      ...boundsSeconds.map((le, at) => ({ metricName: `${this.name}_bucket`, value: buckets[at] ?? 0, labels: { le, kind } })),
      { metricName: `${this.name}_bucket`, value: runs, labels: { le: '+Inf', kind } },
      { metricName: `${this.name}_sum`, value: seconds, labels: { kind } },
      { metricName: `${this.name}_count`, value: runs, labels: { kind } },
    ]);
  }

  async get() {
    return { name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values: this.values };
  }

  /** Part of what a registry asks of a metric. */
  reset(): void {
    this.values = [];
  }
}
