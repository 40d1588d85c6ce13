import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SimVm, VsphereModel } from './index.js';

/** A vCenter in a folder of its own with one VM, "web", that has one disk and one NIC. `close` takes the folder, too. */
export interface TestModel {
  dataDir: string;
  model: VsphereModel;
  vm: SimVm;
  close: () => Promise<void>;
}

export async function openTestModel(capacityBytes: number): Promise<TestModel> {
  const dataDir = await mkdtemp(join(tmpdir(), 'sim-model-'));
  const model = await VsphereModel.open({ dataDir });
  const vm = await model.createVm({
    name: 'web',
    folderMoRef: model.vmFolderMoRef,
    resourcePoolMoRef: model.rootResourcePoolMoRef,
    datastoreName: 'ds-1',
    disks: [{ capacityBytes }],
    nics: [{ networkMoRef: model.networks()[0]?.moRef as string }],
  });
  const close = async () => {
    await model.close();
    await rm(dataDir, { recursive: true, force: true });
  };
  return { dataDir, model, vm, close };
}
