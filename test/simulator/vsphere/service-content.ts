import { moRef, vim, type VimObject } from '../model/vim.js';
import type { VsphereModel } from '../model/vsphere-model.js';

/** What a vCenter Server 8.0 says of itself, with the managers this one has. */
export function serviceContent(model: VsphereModel): VimObject {
  return vim('ServiceContent', {
    rootFolder: moRef('Folder', model.inventory.state.rootFolderMoRef),
    propertyCollector: moRef('PropertyCollector', 'propertyCollector'),
    viewManager: moRef('ViewManager', 'ViewManager'),
    about: vim('AboutInfo', {
      name: 'VMware vCenter Server',
      fullName: 'VMware vCenter Server 8.0.3 (simulated)',
      vendor: 'VMware, Inc.',
      version: '8.0.3',
      build: '24022515',
      localeVersion: 'INTL',
      localeBuild: '000',
      osType: 'linux-x64',
      productLineId: 'vpx',
      apiType: 'VirtualCenter',
      apiVersion: '8.0.3.0',
      instanceUuid: model.instanceUuid,
    }),
    sessionManager: moRef('SessionManager', 'SessionManager'),
    taskManager: moRef('TaskManager', 'TaskManager'),
    searchIndex: moRef('SearchIndex', 'SearchIndex'),
    fileManager: moRef('FileManager', 'FileManager'),
    virtualDiskManager: moRef('VirtualDiskManager', 'virtualDiskManager'),
  });
}
