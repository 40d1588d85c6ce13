import type { Logger, XmlElement } from '../common/index.js';
import type { Extent } from '../disk/index.js';
import { collectChangedAreas } from './changed-areas.js';
import { profileSpec } from './encryption-spec.js';
import { isNotFound, VsphereError } from './errors.js';
import type {
  DiskAddress,
  DiskAttachment,
  DiskSnapshot,
  FirstClassDisk,
  FirstClassDiskFlag,
  FirstClassDisksApi,
  NewFirstClassDisk,
} from './first-class-disk-types.js';
import { readDisk, readSnapshot } from './read-first-class-disk.js';
import type { PropertyReader } from './properties.js';
import type { CallOptions, VimSession } from './session.js';
import type { TaskWaiter } from './tasks.js';
import type { VcenterSurveyApi } from './survey-types.js';
import { integerOf, type ManagedObject, readableName, soapReference, typed, vim, writeVimXml } from './vim-xml.js';

/** Removing a snapshot merges everything written since it was taken. */
const MERGE_TIMEOUT_MS = 24 * 60 * 60_000;
/** A thick disk is zeroed while it is made. */
const CREATE_TIMEOUT_MS = 24 * 60 * 60_000;
const CHANGED_AREAS_TIMEOUT_MS = 10 * 60_000;
/** Disks named in one question. */
const QUESTION_DISKS = 100;
/** Tasks of the manager, as real vCenters and ours name them in TaskInfo.descriptionId. */
const TASK_OF_A_DISK = /vslm|VStorageObject/i;
const ENDED: ReadonlySet<string> = new Set(['success', 'error']);

/**
 * First class disks by vCenter's VStorageObjectManager (VSLM; guide, "First Class Disk (FCD) Backup"). A disk is known by
 * its UUID on a datastore; who moves it to another one leaves the UUID as it is, so `find` looks everywhere.
 */
export class FirstClassDisks implements FirstClassDisksApi {
  constructor(
    private readonly session: VimSession,
    private readonly properties: PropertyReader,
    private readonly tasks: TaskWaiter,
    private readonly survey: Pick<VcenterSurveyApi, 'datastores'>,
    private readonly log: Logger,
  ) {}

  get available(): boolean {
    return this.session.content.vStorageObjectManager !== undefined;
  }

  async list(datastoreMoRef: string, signal?: AbortSignal): Promise<string[]> {
    const call = { doing: `listing the first class disks of datastore ${datastoreMoRef}`, idempotent: true, signal };
    const answer = await this.session.call('ListVStorageObject', this.manager(), { datastore: datastore(datastoreMoRef) }, call);
    return answer.childrenNamed('returnval').flatMap((id) => id.textAt('id') ?? []);
  }

  async read(at: DiskAddress, signal?: AbortSignal): Promise<FirstClassDisk> {
    const call = { doing: `reading ${nameOf(at)}`, subject: nameOf(at), idempotent: true, signal };
    const answer = await this.session.call('RetrieveVStorageObject', this.manager(), address(at), call);
    const disk = readDisk(answer.child('returnval'));
    if (disk !== undefined) return disk;
    throw this.incomplete(`what ${nameOf(at)} is`);
  }

  async find(id: string, hintDatastoreMoRef?: string, signal?: AbortSignal): Promise<FirstClassDisk | undefined> {
    const hinted =
      hintDatastoreMoRef === undefined ? undefined : await this.readIfThere({ id, datastoreMoRef: hintDatastoreMoRef }, signal);
    if (hinted !== undefined) return hinted;
    for (const { moRef, accessible } of await this.survey.datastores(signal)) {
      if (!accessible || moRef === hintDatastoreMoRef) continue;
      if (!(await this.list(moRef, signal)).includes(id)) continue;
      const found = await this.readIfThere({ id, datastoreMoRef: moRef }, signal);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async attachments(disks: readonly DiskAddress[], signal?: AbortSignal): Promise<Map<string, DiskAttachment[]>> {
    const found = new Map<string, { vmId: string; deviceKey: number }[]>();
    for (let from = 0; from < disks.length; from += QUESTION_DISKS) {
      const ids = disks.slice(from, from + QUESTION_DISKS).map(address);
      const call = { doing: 'asking which VMs have first class disks', idempotent: true, signal };
      const answer = await this.session.call('RetrieveVStorageObjectAssociations', this.manager(), { ids }, call);
      for (const each of answer.childrenNamed('returnval')) {
        const id = each.textAt('id', 'id');
        if (id !== undefined) found.set(id, each.childrenNamed('vmDiskAssociations').map(attachmentOf));
      }
    }
    return this.named(found, signal);
  }

  private async named(
    attachments: ReadonlyMap<string, { vmId: string; deviceKey: number }[]>,
    signal?: AbortSignal,
  ): Promise<Map<string, DiskAttachment[]>> {
    const vmIds = new Set([...attachments.values()].flatMap((each) => each.map(({ vmId }) => vmId)));
    const vms = [...vmIds].map((value) => ({ type: 'VirtualMachine', value }));
    const read = await this.properties.readMany(vms, ['name'], 'reading the names of VMs with first class disks', signal);
    const names = new Map(read.map((vm) => [vm.object.value, readableName(vm.text('name') ?? '')]));
    return new Map(
      [...attachments].map(([id, each]) => [id, each.map(({ vmId, deviceKey }) => ({ vmId, vmName: names.get(vmId), deviceKey }))]),
    );
  }

  async createSnapshot(at: DiskAddress, description: string, timeoutMs: number, signal?: AbortSignal): Promise<DiskSnapshot> {
    const options = { ...this.doing(`creating a snapshot of ${nameOf(at)}`, at, signal), taskTimeoutMs: timeoutMs };
    const made = await this.tasks.runForResult(
      'VStorageObjectCreateSnapshot_Task',
      this.manager(),
      { ...address(at), description },
      options,
    );
    const id = made?.textAt('id');
    const snapshot = (await this.snapshots(at, signal)).find((each) =>
      id === undefined ? each.description === description : each.id === id,
    );
    if (snapshot !== undefined) return snapshot;
    throw new VsphereError(
      `vCenter ${this.session.transport.name} reported success of creating a snapshot of ${nameOf(at)}, but the disk has no such snapshot.`,
      { code: 'SNAPSHOT_VANISHED', subject: nameOf(at) },
    );
  }

  async snapshots(at: DiskAddress, signal?: AbortSignal): Promise<DiskSnapshot[]> {
    const call = { ...this.doing(`listing the snapshots of ${nameOf(at)}`, at, signal), idempotent: true };
    const answer = await this.session.call('RetrieveSnapshotInfo', this.manager(), address(at), call);
    return (answer.child('returnval')?.childrenNamed('snapshots') ?? []).flatMap(readSnapshot);
  }

  async snapshotChangeId(at: DiskAddress, snapshotId: string, signal?: AbortSignal): Promise<string | undefined> {
    const call = { ...this.doing(`reading snapshot ${snapshotId} of ${nameOf(at)}`, at, signal), idempotent: true };
    const answer = await this.session.call(
      'RetrieveSnapshotDetails',
      this.manager(),
      { ...address(at), snapshotId: { id: snapshotId } },
      call,
    );
    return answer.textAt('returnval', 'changedBlockTrackingId') || undefined;
  }

  async removeSnapshot(at: DiskAddress, snapshotId: string, signal?: AbortSignal): Promise<void> {
    const options = { ...this.doing(`removing snapshot ${snapshotId} of ${nameOf(at)}`, at, signal), ...MERGING };
    try {
      await this.tasks.run('DeleteSnapshot_Task', this.manager(), { ...address(at), snapshotId: { id: snapshotId } }, options);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  async revert(at: DiskAddress, snapshotId: string, signal?: AbortSignal): Promise<void> {
    const options = { ...this.doing(`reverting ${nameOf(at)} to snapshot ${snapshotId}`, at, signal), ...MERGING };
    await this.tasks.run('RevertVStorageObject_Task', this.manager(), { ...address(at), snapshotId: { id: snapshotId } }, options);
  }

  async queryChangedAreas(
    disk: DiskAddress & { capacityBytes: number },
    snapshotId: string,
    changeId: string,
    signal?: AbortSignal,
  ): Promise<Extent[]> {
    const options = {
      ...this.doing(`asking what changed on ${nameOf(disk)}`, disk, signal),
      timeoutMs: CHANGED_AREAS_TIMEOUT_MS,
      idempotent: true,
    };
    const ask = async (startOffset: number) => {
      const args = { ...address(disk), snapshotId: { id: snapshotId }, startOffset, changeId };
      return (await this.session.call('VstorageObjectVCenterQueryChangedDiskAreas', this.manager(), args, options)).child('returnval');
    };
    return collectChangedAreas({ disk: nameOf(disk), capacityBytes: disk.capacityBytes, ask, log: this.log });
  }

  async create(wanted: NewFirstClassDisk, signal?: AbortSignal): Promise<FirstClassDisk> {
    const doing = `creating first class disk "${wanted.name}"`;
    const options = { doing, subject: `first class disk "${wanted.name}"`, taskTimeoutMs: CREATE_TIMEOUT_MS, signal };
    const made = await this.tasks.runForResult('CreateDisk_Task', this.manager(), { spec: { $xml: createSpecXml(wanted) } }, options);
    const disk = readDisk(made);
    if (disk !== undefined) return disk;
    throw this.incomplete(`which disk it made as "${wanted.name}"`);
  }

  async rename(at: DiskAddress, name: string, signal?: AbortSignal): Promise<void> {
    const call = this.doing(`renaming ${nameOf(at)} to "${name}"`, at, signal);
    await this.session.call('RenameVStorageObject', this.manager(), { ...address(at), name }, call);
  }

  async setFlag(at: DiskAddress, flag: FirstClassDiskFlag, on: boolean, signal?: AbortSignal): Promise<void> {
    const call = this.doing(`turning ${flag} of ${nameOf(at)} ${on ? 'on' : 'off'}`, at, signal);
    const method = on ? 'SetVStorageObjectControlFlags' : 'ClearVStorageObjectControlFlags';
    await this.session.call(method, this.manager(), { ...address(at), controlFlags: [flag] }, call);
  }

  async writeMetadata(
    at: DiskAddress,
    entries: FirstClassDisk['metadata'],
    deleteKeys: readonly string[],
    signal?: AbortSignal,
  ): Promise<void> {
    const args = { ...address(at), metadata: entries.map(({ key, value }) => ({ key, value })), deleteKeys: [...deleteKeys] };
    const options = this.doing(`writing the metadata of ${nameOf(at)}`, at, signal);
    await this.tasks.run('VCenterUpdateVStorageObjectMetadataEx_Task', this.manager(), args, options);
  }

  async remove(at: DiskAddress, signal?: AbortSignal): Promise<void> {
    try {
      await this.tasks.run('DeleteVStorageObject_Task', this.manager(), address(at), this.doing(`deleting ${nameOf(at)}`, at, signal));
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  async letTasksEnd(datastoreMoRef: string, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    const doing = `waiting for tasks of first class disks on datastore ${datastoreMoRef}`;
    try {
      const object = { type: 'Datastore', value: datastoreMoRef };
      const entity = await this.properties.read(object, ['recentTask'], doing, `datastore ${datastoreMoRef}`, signal);
      const recent = await this.properties.readMany(entity.references('recentTask'), ['info.descriptionId', 'info.state'], doing, signal);
      // A datastore has tasks of everybody's, and keeps those that have ended for ten minutes.
      const underWay = recent.filter(
        (task) => TASK_OF_A_DISK.test(task.text('info.descriptionId') ?? '') && !ENDED.has(task.text('info.state') ?? ''),
      );
      for (const task of underWay) await this.tasks.end(task.object, { doing, timeoutMs, signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  private async readIfThere(at: DiskAddress, signal?: AbortSignal): Promise<FirstClassDisk | undefined> {
    try {
      return await this.read(at, signal);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  private doing(doing: string, at: DiskAddress, signal?: AbortSignal): CallOptions {
    return { doing, subject: nameOf(at), signal };
  }

  /** @throws VsphereError FIRST_CLASS_DISKS_UNSUPPORTED before vSphere 6.5. */
  private manager(): ManagedObject {
    const { vStorageObjectManager } = this.session.content;
    if (vStorageObjectManager !== undefined) return vStorageObjectManager;
    const vcenter = this.session.transport.name;
    throw new VsphereError(`vCenter ${vcenter} has no manager of first class disks; vSphere 6.7 or later is needed.`, {
      code: 'FIRST_CLASS_DISKS_UNSUPPORTED',
      subject: `vCenter ${vcenter}`,
    });
  }

  private incomplete(what: string): VsphereError {
    return new VsphereError(`vCenter ${this.session.transport.name} does not tell ${what}.`, { code: 'INCOMPLETE_ANSWER' });
  }
}

/** Half a merge is worse than a late one. */
const MERGING = { taskTimeoutMs: MERGE_TIMEOUT_MS, uncancellable: true } as const;

function nameOf({ id, name }: DiskAddress): string {
  return name === undefined ? `first class disk ${id}` : `first class disk "${name}"`;
}

function datastore(moRef: string) {
  return soapReference({ type: 'Datastore', value: moRef });
}

function address({ id, datastoreMoRef }: DiskAddress) {
  return { id: { id }, datastore: datastore(datastoreMoRef) };
}

function attachmentOf(association: XmlElement): { vmId: string; deviceKey: number } {
  return { vmId: association.textAt('vmId') ?? '', deviceKey: integerOf(association.child('diskKey')) ?? 0 };
}

/** VslmCreateSpec, in the order of its fields. */
function createSpecXml({
  name,
  datastoreMoRef,
  capacityMib,
  provisioning,
  keepAfterDeleteVm,
  policyId,
  metadata,
}: NewFirstClassDisk): string {
  const backing = vim(
    'backingSpec',
    vim('datastore', datastoreMoRef).setAttribute('type', 'Datastore'),
    vim('provisioningType', provisioning),
  );
  const parts = [
    vim('name', name),
    vim('keepAfterDeleteVm', String(keepAfterDeleteVm)),
    typed(backing, 'VslmCreateSpecDiskFileBackingSpec'),
    vim('capacityInMB', String(capacityMib)),
    profileSpec('profile', policyId),
    ...metadata.map(({ key, value }) => vim('metadata', vim('key', key), vim('value', value))),
  ];
  return parts.flatMap((part) => (part === undefined ? [] : [writeVimXml(part)])).join('');
}
