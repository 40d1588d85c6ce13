import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { type Logger, withTimeout } from '../common/index.js';
import { LOGGER } from '../config/index.js';

export interface ReadinessCheck {
  /** What is checked, as one word: "repository". */
  name: string;
  check: (signal: AbortSignal) => Promise<void>;
}

export interface Readiness {
  status: 'ok' | 'unavailable';
  checks: Record<string, 'ok' | 'unavailable'>;
}

export const READINESS_CHECKS = Symbol('READINESS_CHECKS');

const CHECK_TIMEOUT_MS = 5_000;
/** Anybody may ask; nobody can make the service write probes to its repository all day by asking often. */
const REMEMBERED_MS = 3_000;

@Injectable()
export class ReadinessService {
  private latest: { atMs: number; answer: Promise<Readiness> } | undefined;
  private readonly asking = new Map<string, Promise<void>>();

  constructor(
    private readonly dataSource: DataSource,
    @Inject(READINESS_CHECKS) private readonly others: readonly ReadinessCheck[],
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  /** Whether the service can do its work now. The reasons against it go to the log, not to strangers. */
  async check(): Promise<Readiness> {
    if (this.latest === undefined || performance.now() - this.latest.atMs > REMEMBERED_MS) {
      this.latest = { atMs: performance.now(), answer: this.ask() };
    }
    return await this.latest.answer;
  }

  private async ask(): Promise<Readiness> {
    const database: ReadinessCheck = { name: 'database', check: async () => void (await this.dataSource.query('SELECT 1')) };
    const entries = await Promise.all(
      [database, ...this.others].map(async (one): Promise<[string, 'ok' | 'unavailable']> => {
        const { name } = one;
        try {
          await withTimeout(`The check of the ${name}`, CHECK_TIMEOUT_MS, undefined, (signal) => this.question(one, signal));
          return [name, 'ok'];
        } catch (error) {
          const facts = error instanceof Error ? { type: error.name, message: error.message } : { type: typeof error };
          this.log.warn({ check: name, error: facts }, 'not ready');
          return [name, 'unavailable'];
        }
      }),
    );
    const checks = Object.fromEntries(entries);
    return { status: entries.every(([, state]) => state === 'ok') ? 'ok' : 'unavailable', checks };
  }

  /** One at a time: what did not hear its signal would have one more question to answer with each probe. */
  private question({ name, check }: ReadinessCheck, signal: AbortSignal): Promise<void> {
    const asked = this.asking.get(name) ?? check(signal).finally(() => this.asking.delete(name));
    this.asking.set(name, asked);
    return asked;
  }
}
