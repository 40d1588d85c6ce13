import type { Logger } from '../../common/index.js';
import { inspectVddk } from '../../vddk/index.js';
import type { VddkUse } from '../disk-access.js';
import { ServerChecks, WORKER } from './report.js';

/** Whether this worker can load VDDK, and whether it knows the transports the settings allow. */
export async function checkVddk(settings: () => VddkUse, log: Logger, signal: AbortSignal): Promise<ServerChecks> {
  const checks = new ServerChecks(WORKER);
  const found = await checks.attempt('vddk', signal, async () => {
    const use = settings();
    const installed = await inspectVddk(use, { log, signal });
    checks.add('vddk', 'ok', `VDDK ${installed.version} loads from ${installed.libraryFile}.`);
    return { allowed: use.transport.modes, known: installed.transportModes };
  });
  if (found === undefined) {
    checks.skipAfter('vddk', ['transport-modes']);
    return checks;
  }
  const { allowed, known } = found;
  const lacking = known === undefined ? [] : allowed.filter((mode) => !known.includes(mode));
  if (known === undefined)
    checks.add('transport-modes', 'ok', `The settings allow ${allowed.join(', ')}; this VDDK does not tell what it has.`);
  else if (lacking.length === 0)
    checks.add('transport-modes', 'ok', `The settings allow ${allowed.join(', ')}; this VDDK has ${known.join(', ')}.`);
  else {
    const outcome = lacking.length === allowed.length ? 'failed' : 'warning';
    const message = `The settings allow ${lacking.join(', ')}, which this VDDK does not have (it has ${known.join(', ')}): advanced transports need its plug-in libdiskLibPlugin.so.`;
    checks.add('transport-modes', outcome, message);
  }
  return checks;
}
