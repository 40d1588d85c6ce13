import { Inject, Injectable } from '@nestjs/common';
import { type Logger, withTimeout } from '../../common/index.js';
import { CONFIG, LOGGER, type VaultConfig } from '../../config/index.js';
import { CloudLoginService } from '../cloud-login.service.js';
import { CloudService } from '../cloud.service.js';
import type { VddkUse } from '../disk-access.js';
import { checkVcd } from './check-vcd.js';
import { checkVcenter } from './check-vcenter.js';
import { checkVddk } from './check-vddk.js';
import type { CheckName, PreflightCheck, PreflightReport } from './report.js';

/** All of it; what is not finished then is told as not finished. */
const TIMEOUT_MS = 4 * 60_000;
const HOST_PORTS_TIMEOUT_MS = 30_000;
/** What is so of this machine, and need not be so of the worker that will copy the disks. */
const OF_THIS_MACHINE: ReadonlySet<CheckName> = new Set(['vddk', 'transport-modes', 'host-ports']);

/** Looks at everything a backup or restore of a cloud needs, before one needs it. Changes nothing anywhere. */
@Injectable()
export class PreflightService {
  constructor(
    private readonly clouds: CloudService,
    private readonly logins: CloudLoginService,
    @Inject(CONFIG) private readonly config: VaultConfig,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  /**
   * @param options.hostPorts false: no connection to any ESXi host is tried.
   * @throws CloudError CLOUD_NOT_FOUND. Whatever else goes wrong is a finding.
   */
  async examine(cloudId: string, options: { hostPorts: boolean }, signal?: AbortSignal): Promise<PreflightReport> {
    const startedMs = performance.now();
    const { cloud } = await this.logins.read(cloudId);
    const sessions = await this.clouds.sessions(cloudId);
    const checkedAt = new Date().toISOString();
    // Its parts listen to the deadline and say that they were not finished: only the caller's own end ends it all.
    const deadline = AbortSignal.timeout(TIMEOUT_MS);
    const limited = signal === undefined ? deadline : AbortSignal.any([deadline, signal]);
    const hostsLimit = AbortSignal.any([limited, AbortSignal.timeout(HOST_PORTS_TIMEOUT_MS)]);
    const ports = { wanted: options.hostPorts, needed: this.needsHostPorts(), signal: hostsLimit };
    const found = await withTimeout(`Examining cloud "${cloud.name}"`, TIMEOUT_MS + 60_000, signal, () =>
      Promise.all([
        checkVddk(() => this.clouds.vddkSettings(), this.log, limited),
        checkVcd(cloud.vcd, cloud.vcenters, () => sessions.vcd(limited), limited),
        ...cloud.vcenters.map((vcenter) => checkVcenter(vcenter, () => sessions.vcenter(vcenter.instanceUuid, limited), ports, limited)),
      ]),
    );
    const checks = found.flatMap((server) => server.found).map((check) => this.judge(check));
    const ready = checks.every(({ outcome }) => outcome !== 'failed');
    const durationMs = Math.round(performance.now() - startedMs);
    return { cloudId, cloudName: cloud.name, checkedAt, durationMs, ready, checks };
  }

  /** A process that only answers HTTP copies no disks: what it lacks for that is worth a look at the workers. */
  private judge(check: PreflightCheck): PreflightCheck {
    if (this.config.role !== 'api' || check.outcome !== 'failed' || !OF_THIS_MACHINE.has(check.check)) return check;
    return {
      ...check,
      outcome: 'warning',
      message: `${check.message} This process carries out no runs; see that the workers do not lack it.`,
    };
  }

  /** What was not configured is a finding of another check. */
  private needsHostPorts(): boolean {
    let use: VddkUse;
    try {
      use = this.clouds.vddkSettings();
    } catch {
      return true;
    }
    return use.transport.modes.some((mode) => mode === 'nbd' || mode === 'nbdssl');
  }
}
