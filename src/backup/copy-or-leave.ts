import type { ManifestContent, ManifestVm } from '../catalog/index.js';
import { describeError, inParallel, isRetryable, sleep, VaultError } from '../common/index.js';
import { RepositoryError } from '../repository/index.js';
import type { BackupSettings } from './backup-settings.js';

type LeftVm = NonNullable<ManifestContent['excludedVms']>[number];

/** What is asked of a VM here: who it is. */
interface NamedVm {
  captured: { id: string; name: string };
}

export interface CopiedVms {
  vms: ManifestVm[];
  /** Those whose copy failed in the end, where the settings let the others be kept. */
  failed: LeftVm[];
}

export interface CopyOrLeaveOptions {
  limit: number;
  settings: Pick<BackupSettings, 'retryVms' | 'whenVmFails'>;
  warn: (message: string) => void;
  /** The VM will not be copied any more, and the others are. */
  onLeft: (vmName: string) => void;
  signal: AbortSignal;
}

/**
 * Copies VMs, several at once. One whose copy fails in a way that may pass is copied again, alone and from the same snapshot:
 * so the restore point stays one moment. What fails then too ends the run, or is left out of it, as the settings say.
 * @throws what the copy threw: of the first VM that fails, or of the last one when none is left.
 */
export async function copyOrLeave<V extends NamedVm>(
  vms: readonly V[],
  copy: (vm: V, signal: AbortSignal) => Promise<ManifestVm>,
  options: CopyOrLeaveOptions,
): Promise<CopiedVms> {
  const { limit, settings, warn } = options;
  const outcomes = await inParallel(vms, limit, options.signal, async (vm, signal): Promise<ManifestVm | Failure> => {
    try {
      return await copyAgainAndAgain(vm, copy, options, signal);
    } catch (error) {
      // What the repository says is of the whole run: nothing more can be stored.
      if (signal.aborted || error instanceof RepositoryError || settings.whenVmFails === 'fail') throw error;
      options.onLeft(vm.captured.name);
      return new Failure(vm.captured, error);
    }
  });
  const failures = outcomes.filter((outcome) => outcome instanceof Failure);
  const copied = outcomes.filter((outcome): outcome is ManifestVm => !(outcome instanceof Failure));
  if (copied.length === 0) throw failures.at(-1)?.error;
  for (const { name, reason } of failures) warn(`VM "${name}" is not in the restore point: ${reason}`);
  return { vms: copied, failed: failures.map(({ name, vcloudId, reason }) => ({ name, vcloudId, reason, failed: true })) };
}

async function copyAgainAndAgain<V extends NamedVm>(
  vm: V,
  copy: (vm: V, signal: AbortSignal) => Promise<ManifestVm>,
  { settings, warn }: CopyOrLeaveOptions,
  signal: AbortSignal,
): Promise<ManifestVm> {
  const { attempts, delaySeconds } = settings.retryVms;
  for (let again = 0; ; again += 1) {
    try {
      return await copy(vm, signal);
    } catch (error) {
      if (signal.aborted || again >= attempts || error instanceof RepositoryError || !isRetryable(error)) throw error;
      warn(`The copy of VM "${vm.captured.name}" failed and is begun again in ${delaySeconds} s: ${describeError(error)}`);
      await sleep(delaySeconds * 1_000, signal);
    }
  }
}

/** What is kept of it is read by people: only our own errors have been written for them. */
class Failure {
  readonly name: string;
  readonly vcloudId: string;
  readonly reason: string;

  constructor(
    { id, name }: NamedVm['captured'],
    readonly error: unknown,
  ) {
    this.name = name;
    this.vcloudId = id;
    this.reason = error instanceof VaultError ? `its copy failed: ${error.message}` : "its copy failed; the service's log tells more";
  }
}
