import type { AlertFact } from '../alerts/index.js';
import { remedyOf } from '../clouds/index.js';
import type { VaultConfig } from '../config/index.js';
import type { FailedRun, RunHealthService, StuckDebts } from '../jobs/index.js';
import type { Site } from '../repository/index.js';
import type { RepositorySpace } from './repository-space.js';

const MINUTE_MS = 60_000;

/** A run that failed, or went on without VMs that did; over when the next run about the same object ends well. */
export async function failedRuns(health: Pick<RunHealthService, 'failedRuns'>): Promise<AlertFact[]> {
  return (await health.failedRuns()).map((run) => ({
    key: `${run.kind}:${run.objectKey}`,
    severity: 'warning',
    organizationId: run.organizationId,
    subject: run.subject,
    message: sentenceOf(run),
    details: { runId: run.runId, runKind: run.kind, code: run.error?.code ?? null, failedVms: run.failedVms.map(({ name }) => name) },
  }));
}

function sentenceOf({ kind, subject, endedAt, error, failedVms, notCopied }: FailedRun): string {
  const at = endedAt.toISOString();
  if (error === null) {
    if (notCopied > 0)
      return `The ${kind} of ${subject} ended at ${at} without ${notCopied === 1 ? '1 restore point' : `${notCopied} restore points`}; the run's warnings say which, and why.`;
    const names = failedVms.map(({ name }) => `"${name}"`).join(', ');
    const [first] = failedVms;
    const why = `${withoutStop(first?.reason ?? '')}${failedVms.length > 1 ? ` (of "${first?.name}")` : ''}`;
    return `The ${kind} of ${subject} ended at ${at} without VM ${names}: ${why}; retry the run for what failed.`;
  }
  return `The ${kind} of ${subject} failed at ${at}: ${error.message}`;
}

/** A backup that left a restore point, and what is wrong all the same; over with the next one of which nothing is. */
export async function degradedBackups(health: Pick<RunHealthService, 'degradedRuns'>): Promise<AlertFact[]> {
  return (await health.degradedRuns()).flatMap(
    ({ runId, objectKey, subject, organizationId, endedAt, consolidationFailed, halfWritten }) => {
      const fact = { severity: 'critical', organizationId, subject } as const;
      const at = endedAt.toISOString();
      const facts: AlertFact[] = [];
      if (consolidationFailed.length > 0) {
        const vms = consolidationFailed.map((name) => `"${name}"`).join(', ');
        const message = `The disks of VM ${vms} of ${subject} need consolidation, and it failed at ${at}: their redo logs grow until the datastore is full; consolidate them in vCenter.`;
        facts.push({ ...fact, key: `consolidation:${objectKey}`, message, details: { runId, consolidationFailed } });
      }
      if (halfWritten.length > 0) {
        const message = `The last restore point of ${subject}, of ${at}, has ${halfWritten.join(', ')} as a restore that came to nothing left it; restore the VM again, or from an earlier restore point.`;
        facts.push({ ...fact, key: `half-written:${objectKey}`, message, details: { runId, halfWritten } });
      }
      return facts;
    },
  );
}

/** A sentence as part of another one. */
function withoutStop(sentence: string): string {
  return sentence.replace(/[.\s]+$/, '');
}

/** Something in a cloud that should have been undone long ago: a vApp may still be in maintenance mode. */
export async function stuckObligations(
  health: Pick<RunHealthService, 'stuckDebts'>,
  { stuckObligationMinutes }: VaultConfig['alerts'],
): Promise<AlertFact[]> {
  return (await health.stuckDebts(stuckObligationMinutes * MINUTE_MS)).map((debts) => ({
    key: debts.runId,
    severity: 'critical',
    organizationId: debts.organizationId,
    subject: debts.subject,
    message: owedSentence(debts),
    details: { runId: debts.runId, obligations: debts.kinds },
  }));
}

function owedSentence({ subject, kinds, oldestAt, lastError }: StuckDebts): string {
  const what = kinds.map((kind) => `"${kind}"`).join(', ');
  const why = lastError === null ? 'nobody has paid it yet' : withoutStop(lastError);
  const whatToDo = kinds.map(remedyOf).join('; ');
  return `${what} of ${subject} is owed to the cloud since ${oldestAt.toISOString()}: ${why}; ${whatToDo}.`;
}

/** Each site for itself: one whose share hangs says nothing of the other. */
export async function nearlyFull(
  site: Site,
  repository: Pick<RepositorySpace, 'read'>,
  { repositoryFreePercent }: Pick<VaultConfig['alerts'], 'repositoryFreePercent'>,
  signal?: AbortSignal,
): Promise<AlertFact[]> {
  const space = await repository.read(site, signal);
  if (space === undefined) return [];
  const { freeBytes, sizeBytes } = space;
  const freePercent = sizeBytes === 0 ? 100 : (freeBytes / sizeBytes) * 100;
  if (freePercent >= repositoryFreePercent) return [];
  const shown = `${freePercent.toFixed(1)} % (${(freeBytes / 2 ** 30).toFixed(1)} GiB)`;
  return [
    {
      key: site === 'first' ? 'repository' : 'second site',
      severity: freePercent < repositoryFreePercent / 2 ? 'critical' : 'warning',
      organizationId: '',
      subject: site === 'first' ? 'the repository' : 'the second site of the repository',
      message: `Only ${shown} of the file system of ${site === 'first' ? 'the repository' : "the repository's second site"} is free; add space, shorten retention, or collect space.`,
      details: { freeBytes, sizeBytes },
    },
  ];
}

/** Runs wait and nobody takes them: no worker is up, or none can. */
export async function stalledQueue(
  health: Pick<RunHealthService, 'stalledSince'>,
  { stalledQueueMinutes }: VaultConfig['alerts'],
): Promise<AlertFact[]> {
  const stalled = await health.stalledSince(stalledQueueMinutes * MINUTE_MS);
  if (stalled === undefined) return [];
  const { waiting, since } = stalled;
  return [
    {
      key: 'queue',
      severity: 'critical',
      organizationId: '',
      subject: 'the run queue',
      message: `${waiting === 1 ? '1 run has' : `${waiting} runs have`} waited since ${since.toISOString()} and none is under way; look whether a worker is up, and at its log.`,
      details: { waiting },
    },
  ];
}
