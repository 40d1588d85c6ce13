import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type VaultConfig } from '../config/index.js';
import type { RollingOptions, RollingState, Site } from '../repository/index.js';
import { MaintenanceState } from './maintenance-state.js';

const DAY_MS = 24 * 60 * 60_000;
/** A little more than its share each time, so that a run that is late or fails once does not break the promise. */
const MARGIN = 1.1;
const SMALLEST_SHARE = 0.001;
const SAVE_EVERY_MS = 5_000;

/** How much a rolling verification reads so that everything is read within the time the settings name, and where it goes on. */
@Injectable()
export class RollingVerification {
  constructor(
    private readonly state: MaintenanceState,
    @Inject(CONFIG) private readonly config: VaultConfig,
  ) {}

  /** @returns what the repository is to be asked, and `finish`, to be called when it has answered. */
  async begin(site: Site): Promise<{ rolling: RollingOptions; finish: () => Promise<void> }> {
    const last = await this.state.load<object>(`verify:${site}:ended`);
    const state = (await this.state.load<RollingState>(`verify:${site}`))?.value ?? {};
    let saved = performance.now();
    let current: RollingState = state;
    const onState = async (next: RollingState) => {
      current = next;
      if (performance.now() - saved < SAVE_EVERY_MS) return;
      saved = performance.now();
      await this.state.save(`verify:${site}`, next);
    };
    const finish = async () => {
      await this.state.save(`verify:${site}`, current);
      await this.state.save(`verify:${site}:ended`, {});
    };
    return { rolling: { state, share: this.share(last?.ageMs), onState }, finish };
  }

  private share(sinceLastMs = DAY_MS): number {
    const wholeMs = this.config.maintenance.verifyEverythingWithinDays * DAY_MS;
    return Math.min(1, Math.max(SMALLEST_SHARE, (sinceLastMs / wholeMs) * MARGIN));
  }
}
