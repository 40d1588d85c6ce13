import { throwIfAborted } from '../../common/index.js';
import type { ManifestVm } from '../../catalog/index.js';
import type { ManifestRef, RepositoryApi } from '../../repository/index.js';
import {
  type CapturedMachine,
  capturedMachine,
  type KeyProvider,
  type StoragePolicy,
  VsphereError,
  type VsphereClientApi,
} from '../../vsphere/index.js';
import type { Datastores } from './today.js';

/** A captured VM as vSphere had it. */
export interface Machine extends CapturedMachine {
  configXml: string;
}

/** Which machines the target takes. */
export interface MachineSupport {
  /** Empty where vCenter does not tell. */
  hardwareVersions: readonly string[];
  keyProviders: readonly KeyProvider[];
  /** Ids of captured keys that cannot be had although their providers are known. */
  lostKeys: ReadonlySet<string>;
  policies: readonly StoragePolicy[];
  /** By policy id, those of `Today.datastores` that suit it; a policy that is not here suits all. */
  datastoresOf: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Of each VM, by its captured VCD id. */
export async function readMachines(
  vms: readonly ManifestVm[],
  ref: ManifestRef,
  repository: Pick<RepositoryApi, 'readDocument'>,
  signal: AbortSignal,
): Promise<Map<string, Machine>> {
  const machines = new Map<string, Machine>();
  for (const vm of vms) {
    const configXml = (await repository.readDocument(ref, vm.configurationDocument, signal)).toString('utf8');
    machines.set(vm.vcloudId, { ...capturedMachine(configXml), configXml });
  }
  return machines;
}

/**
 * Asks vCenter only what the machines need to be known. Storage policies belong to a service of their own that may be
 * down: a restore does without them, as VCD places its VMs by its storage profiles anyway.
 */
export async function examineMachines(
  machines: Iterable<Machine>,
  vms: readonly ManifestVm[],
  target: { vcenter: VsphereClientApi; resourcePoolMoRef: string; datastores: Datastores; profileNames: readonly string[] },
  signal: AbortSignal,
): Promise<MachineSupport> {
  const { vcenter } = target;
  const keys = [...machines].flatMap(({ encryption }) =>
    encryption === undefined ? [] : [encryption.key, ...encryption.diskKeys.values()],
  );
  const hardwareVersions = await vcenter.hardwareVersions(target.resourcePoolMoRef, signal);
  const keyProviders = keys.length > 0 ? await vcenter.keyProviders(signal) : [];
  const lostKeys = new Set((await vcenter.unavailableKeys(keys, signal)).map(({ keyId }) => keyId));
  const names = new Set([...target.profileNames, ...vms.flatMap(policyNames)]);
  const policies = await known([], signal, async () => (await vcenter.storagePolicies.list(signal)).filter(({ name }) => names.has(name)));
  const datastoresOf = new Map<string, ReadonlySet<string>>();
  for (const { id } of policies) {
    const moRefs = target.datastores.map(({ moRef }) => moRef);
    const suiting = await known(undefined, signal, () => vcenter.storagePolicies.compatibleDatastores(id, moRefs, signal));
    if (suiting !== undefined) datastoresOf.set(id, new Set(suiting));
  }
  return { hardwareVersions, keyProviders, lostKeys, policies, datastoresOf };
}

function policyNames({ storagePolicy, disks }: ManifestVm): string[] {
  return [storagePolicy?.name, ...disks.map((disk) => disk.storagePolicy?.name)].filter((name) => name !== undefined);
}

async function known<T>(otherwise: T, signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throwIfAborted(signal);
    if (error instanceof VsphereError) return otherwise;
    throw error;
  }
}
