import type { CatalogVapp, ManifestContent } from '../catalog/index.js';
import type { CloudSessions } from '../clouds/index.js';
import type { RunContext } from '../jobs/index.js';
import type { BackupSession } from '../repository/index.js';
import type { VcdClientApi } from '../vcd/index.js';
import type { BackupPayload } from './backup-settings.js';
import type { MaintenanceMode } from './maintenance.js';
import type { BackupParts } from './parts.js';

/** What every description of a source tells. */
export interface SourceCapture {
  id: string;
  name: string;
}

/** What a backup does in another way for a vApp, for a template, for a medium and for a first class disk. */
export interface BackupSource<C extends SourceCapture> {
  /** For people: "vApp template". */
  readonly noun: string;
  /** Keeps its tenants from changing it; absent where VCD has no such thing. */
  readonly enterMaintenance?: () => Promise<MaintenanceMode>;
  /** Until VCD does nothing with it any more. @throws VcdError after the timeout. */
  waitForTasks(timeoutMs: number): Promise<void>;
  /** The whole description, as it is now. */
  capture(): Promise<C>;
  /** Equal for equal descriptions. */
  fingerprint(capture: C): string;
  /** Whether what was held of one is data of the other. */
  sameData(one: C, other: C): boolean;
  /** Makes its data ready to be copied. Whatever that makes in the cloud is owed first. */
  hold(capture: C): Promise<HeldData>;
}

export interface HeldData {
  /** Whether it stays the data of the moment it was held at, whatever becomes of the source: only then may the source be let go before the copy. */
  readonly frozen: boolean;
  copy(): Promise<CopiedData>;
  /** Undoes what holding took; also where nothing was copied. */
  release(): Promise<void>;
}

/** What of the manifest comes from the data. */
export type CopiedData = Pick<ManifestContent, 'vms' | 'excludedVms' | 'medium' | 'firstClassDisk' | 'snapshots'>;

/** One backup under way: what all its steps work with. */
export interface BackupWork {
  vapp: CatalogVapp;
  cloud: CloudSessions;
  session: BackupSession;
  payload: BackupPayload;
  run: RunContext;
  parts: BackupParts;
  /** Into the run's report and into the manifest. */
  warn: (message: string) => void;
  degradation: Degradation;
}

/** What is so much worse than was asked for that somebody must be told (run-health.service.ts): into the run's result, by names. */
export interface Degradation {
  /** VMs whose redo logs grow until the datastore is full. */
  consolidationFailed: Set<string>;
  /** Disks as a restore that came to nothing left them. */
  halfWritten: Set<string>;
}

/** Of what VCD has. First class disks are vCenter's alone, and are backed up while VCD is away. */
export interface VcdBackupWork extends BackupWork {
  vcd: VcdClientApi;
}
