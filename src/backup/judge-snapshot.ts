import { describeError, MIB } from '../common/index.js';
import { BackupError } from './errors.js';
import { acceptedConsistencies, CONSISTENCIES, type Consistency, HIDDEN_OBSTACLES, isWindows, toolsVersion } from './quiescing.js';
import type { SnapshotOptions } from './snapshot-vms.js';
import type { TakenSnapshot } from './take-snapshot.js';
import { achievedByVss } from './vss-manifest.js';

/** How consistent a snapshot is, and how that came about: part of the restore point. */
export interface Quiescing {
  wished: Consistency;
  achieved: Consistency | 'powered-off';
  /** What was in the way, as far as it showed beforehand. */
  obstacles: string[];
  /** What vCenter said of the tries that failed. */
  failures: string[];
  tools: { status: string; version?: string };
}

export interface Judgement {
  quiescing: Quiescing;
  /** vss-manifest.zip, for whoever restores an application by VSS. */
  vssManifest: Buffer | undefined;
}

/** Real ones have some hundred KiB. */
const LARGEST_MANIFEST_BYTES = 64 * MIB;

/**
 * What was really achieved: by the snapshot's own flag, by what VSS left on the datastore, and by the Tools' state.
 * Less than was wished is warned of, with all that is known of why.
 * @throws BackupError QUIESCE_INSUFFICIENT when it is less than what is accepted.
 */
export async function judgeSnapshot(taken: TakenSnapshot, options: SnapshotOptions): Promise<Judgement> {
  const { guest, plan, failures, vm } = taken;
  const { tools } = guest;
  const vssManifest = await fetchVssManifest(taken, options);
  const achieved = achievedOf(taken, vssManifest);
  const accepted = acceptedConsistencies(options.settings, guest);
  const wished = accepted[0] as Consistency;
  const quiescing: Quiescing = {
    wished,
    achieved,
    obstacles: plan.obstacles,
    failures,
    tools: { status: tools.status, ...(tools.version !== undefined && { version: toolsVersion(tools.version) }) },
  };
  if (achieved === 'powered-off' || rank(achieved) <= rank(wished)) return { quiescing, vssManifest };
  const sentence = shortfall(vm.configuration.name, wished, achieved, [...plan.obstacles, ...failures]);
  if (!accepted.includes(achieved))
    throw new BackupError('QUIESCE_INSUFFICIENT', `${sentence} The backup accepts no less than ${accepted.at(-1)}.`);
  options.warn(sentence);
  return { quiescing, vssManifest };
}

function rank(consistency: Consistency): number {
  return CONSISTENCIES.indexOf(consistency);
}

function achievedOf({ guest, asked, snapshot }: TakenSnapshot, vssManifest: Buffer | undefined): Quiescing['achieved'] {
  if (guest.powerState === 'poweredOff') return 'powered-off';
  if (asked === 'crash' || snapshot.quiesced === false) return 'crash';
  // Tools of Windows quiesce applications also where only file systems were asked for (guide, Table 7-5).
  return (vssManifest && achievedByVss(vssManifest)) ?? 'file-system';
}

function shortfall(name: string, wished: Consistency, achieved: Consistency, reasons: readonly string[]): string {
  const state =
    achieved === 'crash'
      ? `VM "${name}" could not be quiesced, so its state is as after a power cut`
      : `VM "${name}" was quiesced for its file systems only, not for its applications`;
  const why = reasons.length > 0 ? reasons.map((reason) => reason.replace(/\.$/, '')).join('; ') : 'vCenter gave no reason';
  const hidden = wished === 'application' && reasons.length === 0 ? ` (${HIDDEN_OBSTACLES})` : '';
  return `${state}: ${why}${hidden}.`;
}

/** VSS's own account of what it did. A restore does not need it, so its absence is not a failure. */
async function fetchVssManifest(taken: TakenSnapshot, { signal, warn }: SnapshotOptions): Promise<Buffer | undefined> {
  const { configuration, vcenter } = taken.vm;
  const path = vssManifestPath(taken);
  if (path === undefined) return undefined;
  let trouble: string;
  try {
    const manifest = await vcenter.downloadFile(path, signal, configuration.moRef);
    if (manifest.length > 0 && manifest.length <= LARGEST_MANIFEST_BYTES) return manifest;
    trouble = `${path} has ${manifest.length} bytes`;
  } catch (error) {
    if (signal.aborted) throw error;
    trouble = describeError(error);
  }
  // Where the snapshot names none, it was only looked for.
  if (taken.snapshot.backupManifest !== undefined) warn(`What VSS did in VM "${configuration.name}" could not be read: ${trouble}`);
  return undefined;
}

/** In the snapshot directory; vCenter gives a datastore path, and the API's reference promises a relative one. */
function vssManifestPath({ vm, guest, asked, snapshot }: TakenSnapshot): string | undefined {
  const { snapshotDirectory, vmPath } = vm.configuration;
  const { backupManifest, id } = snapshot;
  if (backupManifest?.startsWith('[')) return backupManifest;
  const folder = (snapshotDirectory || vmPath.slice(0, vmPath.lastIndexOf('/') + 1)).replace(/\/?$/, '/');
  if (backupManifest !== undefined) return `${folder}${backupManifest}`;
  if (asked === 'crash' || snapshot.quiesced === false || id === undefined || !isWindows(guest)) return undefined;
  const stem = vmPath.slice(vmPath.lastIndexOf('/') + 1).replace(/\.vmx$/, '');
  return `${folder}${stem}-vss_manifests${id}.zip`;
}
