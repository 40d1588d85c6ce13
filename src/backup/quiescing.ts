import { type StorageDevices, storageDevices, type VmConfiguration, type WindowsQuiescing } from '../vsphere/index.js';
import type { BackupSettings } from './backup-settings.js';

/** How consistent a snapshot is, from most to least. */
export const CONSISTENCIES = ['application', 'file-system', 'crash'] as const;
export type Consistency = (typeof CONSISTENCIES)[number];

export type QuiesceSettings = Pick<BackupSettings, 'quiesce' | 'quiesceAtLeast' | 'allowCrashConsistent' | 'quiesceTimeoutMinutes' | 'vss'>;

/** What decides about quiescing a guest. */
export interface GuestFacts extends Pick<VmConfiguration, 'powerState' | 'guestId' | 'tools'> {
  /** Version of vCenter's API: "8.0.2.0". */
  apiVersion: string;
  storage: Pick<StorageDevices, 'freeScsiUnits' | 'diskUuidEnabled'> & { diskBuses: readonly string[] };
}

export function guestFacts(configuration: VmConfiguration, apiVersion: string): GuestFacts {
  const { powerState, guestId, tools } = configuration;
  const storage = storageDevices(configuration.configXml);
  return {
    powerState,
    guestId,
    tools,
    apiVersion,
    storage: { ...storage, diskBuses: [...storage.controllers.values()].map(({ bus }) => bus) },
  };
}

/** VMs that are off have nothing to flush: their disks are as quiet as they can be. */
export interface QuiescePlan {
  /** In this order, until one succeeds; none where what can be had is not accepted. */
  tries: { consistency: Consistency; windows: WindowsQuiescing | undefined }[];
  /** Why the guest cannot be quiesced as wished, as far as it shows beforehand. */
  obstacles: string[];
}

/** What is worth trying of what is accepted. */
export function quiescePlan(guest: GuestFacts, settings: QuiesceSettings): QuiescePlan {
  if (guest.powerState === 'poweredOff') return { tries: [{ consistency: 'crash', windows: undefined }], obstacles: [] };
  const accepted = acceptedConsistencies(settings, guest);
  const tools = toolsObstacle(guest);
  const vss = tools === undefined && accepted[0] === 'application' ? applicationObstacles(guest) : [];
  const possible = accepted.filter((consistency) => {
    if (consistency === 'application') return tools === undefined && vss.length === 0;
    return consistency === 'crash' || tools === undefined;
  });
  return {
    tries: possible.map((consistency) => ({ consistency, windows: windowsQuiescing(guest, consistency, settings) })),
    obstacles: accepted[0] === 'crash' ? [] : tools === undefined ? vss : [tools],
  };
}

/** Tools count major * 1024 + minor * 32 + patch. */
const TOOLS_10_1 = 10 * 1024 + 32;

/** The wish, and what is accepted below it in the order it is tried. Elsewhere than in Windows, vSphere quiesces file systems only. */
export function acceptedConsistencies(settings: QuiesceSettings, guest: Pick<GuestFacts, 'guestId'>): Consistency[] {
  const wish = settings.quiesce === 'none' ? 'crash' : settings.quiesce;
  const least = settings.quiesceAtLeast ?? (settings.allowCrashConsistent ? 'crash' : 'file-system');
  const highest = isWindows(guest) ? 0 : 1;
  const from = Math.max(highest, CONSISTENCIES.indexOf(wish));
  return CONSISTENCIES.slice(from, Math.max(from, CONSISTENCIES.indexOf(least)) + 1);
}

export function isWindows({ guestId }: Pick<GuestFacts, 'guestId'>): boolean {
  return /^win/i.test(guestId);
}

/**
 * Why the guest cannot be quiesced at all. vCenter would make the snapshot all the same and say nothing: "if the virtual
 * machine is powered off or VMware Tools are not available, the quiesce spec is ignored" (vim25, CreateSnapshotEx_Task).
 */
function toolsObstacle({ powerState, tools }: Pick<GuestFacts, 'powerState' | 'tools'>): string | undefined {
  if (powerState === 'suspended') return 'the VM is suspended, and what its guest has in memory is not in its disks';
  if (tools.running) return undefined;
  return tools.status === 'toolsNotInstalled'
    ? 'VMware Tools are not installed in the guest'
    : 'VMware Tools are not running in the guest (or have not yet started)';
}

/**
 * What stands in the way of application-consistent quiescing of a Windows guest that Tools run in (guide, chapter 7, Table 7-5
 * and "The VMware VSS Implementation"). Dynamic disks and Storage Spaces cannot be seen from outside.
 */
export function applicationObstacles(guest: GuestFacts): string[] {
  const { storage, tools } = guest;
  const found: string[] = [];
  if (!sinceApi65(guest.apiVersion)) found.push('vCenter is older than 6.5');
  if (tools.version !== undefined && tools.version < TOOLS_10_1) {
    found.push(`VMware Tools ${toolsVersion(tools.version)} are older than 10.1.0: update them`);
  }
  const ide = storage.diskBuses.filter((bus) => bus === 'ide').length;
  if (ide > 0) found.push(`${ide} of its disks are on IDE: move them to a SCSI controller`);
  if (ide === 0 && storage.diskBuses.some((bus) => bus !== 'scsi')) {
    found.push('not all of its disks are on SCSI: move them to a SCSI controller');
  }
  if (storage.freeScsiUnits < storage.diskBuses.length) {
    found.push(`${storage.freeScsiUnits} SCSI slots are free and ${storage.diskBuses.length} are needed: add a SCSI controller`);
  }
  if (!storage.diskUuidEnabled) found.push('disk.EnableUUID is not set: set it to TRUE while the VM is off');
  return found;
}

/** For the warning of a failure that none of the obstacles explains. */
export const HIDDEN_OBSTACLES =
  'dynamic disks and Storage Spaces, which vCenter does not show, cannot be quiesced for applications, and a writer of VSS may have failed in the guest';

/**
 * How a snapshot of a Windows guest is asked for; undefined where CreateSnapshot_Task has to do, which lets Tools choose.
 * CreateSnapshotEx_Task needs vSphere 6.5 and Tools 10.1.0.
 */
function windowsQuiescing(guest: GuestFacts, wish: Consistency, settings: QuiesceSettings): WindowsQuiescing | undefined {
  const { tools } = guest;
  if (wish === 'crash' || !isWindows(guest) || !sinceApi65(guest.apiVersion)) return undefined;
  if (tools.version === undefined || tools.version < TOOLS_10_1) return undefined;
  return {
    context: wish === 'application' ? 'ctx_backup' : 'ctx_file_share_backup',
    ...settings.vss,
    timeoutMinutes: settings.quiesceTimeoutMinutes,
  };
}

/** "12.3.5" */
export function toolsVersion(version: number): string {
  return [Math.floor(version / 1024), Math.floor((version % 1024) / 32), version % 32].join('.');
}

function sinceApi65(apiVersion: string): boolean {
  const [major = 0, minor = 0] = apiVersion.split('.').map(Number);
  return major > 6 || (major === 6 && minor >= 5);
}
