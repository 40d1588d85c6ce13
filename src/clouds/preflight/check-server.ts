import type { ServerTrust } from '../../common/index.js';
import { type Probe, ProbeFailure, probeServer } from './probe-server.js';
import type { CheckName, ServerChecks } from './report.js';

const PROBE_TIMEOUT_MS = 15_000;
const SOON_MS = 30 * 24 * 60 * 60_000;
/** Certificates, tokens and the times of restore points go wrong at some distance; single sign-on at five minutes. */
const CLOCK_WARNING_MS = 30_000;
const CLOCK_FAILURE_MS = 5 * 60_000;

/**
 * What is the same for VCD and vCenter.
 * @param others what cannot be looked at unless the server can be asked
 * @returns undefined when it cannot; then the others are skipped.
 */
export async function checkServer(
  checks: ServerChecks,
  server: { url: string; trust: ServerTrust },
  path: string,
  signal: AbortSignal,
  others: readonly CheckName[] = [],
): Promise<Probe | undefined> {
  let probe: Probe;
  try {
    probe = await probeServer(server.url, path, server.trust, PROBE_TIMEOUT_MS, signal);
  } catch (error) {
    if (!(error instanceof ProbeFailure)) throw error;
    const failed = error.kind === 'unreachable' ? 'reachable' : 'certificate';
    if (failed === 'certificate') checks.add('reachable', 'ok', 'It answers.');
    checks.add(failed, 'failed', error.message);
    checks.skipAfter(failed, others);
    return undefined;
  }
  checks.add('reachable', 'ok', 'It answers.');
  checkCertificate(checks, probe, server.trust);
  return probe;
}

function checkCertificate(checks: ServerChecks, { certificate, ownTime }: Probe, trust: ServerTrust): void {
  if (certificate === undefined) return;
  const { subject, expiresAt, thumbprintSha256 } = certificate;
  const how =
    trust.thumbprint !== undefined
      ? 'by its registered thumbprint'
      : trust.caPem !== undefined
        ? 'by the registered authority'
        : 'by the system’s authorities';
  const note = { certificateExpiresAt: expiresAt.toISOString() };
  const leftMs = expiresAt.getTime() - ownTime.getTime();
  const which = `The certificate of "${subject}" (SHA-256 ${thumbprintSha256})`;
  if (leftMs > SOON_MS) checks.add('certificate', 'ok', `${which} is trusted ${how}.`, note);
  else {
    const when = leftMs < 0 ? 'has expired' : `expires in ${Math.floor(leftMs / 86_400_000)} days`;
    checks.add('certificate', 'warning', `${which} ${when}: renew it, and register the new one.`, note);
  }
}

/** @param accuracyMs how far the server's word may be off its clock */
export function checkClock(checks: ServerChecks, serverTime: Date | undefined, ownTime: Date, accuracyMs: number): void {
  if (serverTime === undefined) {
    checks.add('clock', 'skipped', `${checks.server} does not tell its time: see that its clock and this worker’s are set by NTP.`);
    return;
  }
  const clockDifferenceMs = Math.round(serverTime.getTime() - ownTime.getTime());
  const off = Math.max(0, Math.abs(clockDifferenceMs) - accuracyMs);
  const outcome = off > CLOCK_FAILURE_MS ? 'failed' : off > CLOCK_WARNING_MS ? 'warning' : 'ok';
  const seconds = (Math.abs(clockDifferenceMs) / 1000).toFixed(1);
  const where = clockDifferenceMs < 0 ? 'behind' : 'ahead of';
  const message =
    outcome === 'ok'
      ? `Its clock agrees with this worker’s (${seconds} s).`
      : `Its clock is ${seconds} s ${where} this worker’s: set both by NTP.`;
  checks.add('clock', outcome, message, { clockDifferenceMs });
}
