import { moRef, vim, type VimObject } from '../model/vim.js';
import type { VsphereModel } from '../model/vsphere-model.js';

const API_VERSION = '8.0.3.0';

/** GET /sdk/vimServiceVersions.xml: pyVmomi and PowerCLI ask for it before they log in. */
export const SERVICE_VERSIONS = `<?xml version="1.0" encoding="UTF-8" ?>
<namespaces version="1.0"><namespace><name>urn:vim25</name><version>${API_VERSION}</version><priorVersions><version>8.0.2.0</version><version>8.0.1.0</version><version>8.0.0.1</version><version>7.0.3.2</version><version>7.0</version><version>6.7</version><version>6.5</version></priorVersions></namespace></namespaces>
`;

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
      apiVersion: API_VERSION,
      instanceUuid: model.instanceUuid,
    }),
    sessionManager: moRef('SessionManager', 'SessionManager'),
    authorizationManager: moRef('AuthorizationManager', 'AuthorizationManager'),
    taskManager: moRef('TaskManager', 'TaskManager'),
    searchIndex: moRef('SearchIndex', 'SearchIndex'),
    fileManager: moRef('FileManager', 'FileManager'),
    vStorageObjectManager: moRef('VcenterVStorageObjectManager', 'VStorageObjectManager'),
    cryptoManager: moRef('CryptoManagerKmip', 'CryptoManager'),
    virtualDiskManager: moRef('VirtualDiskManager', 'virtualDiskManager'),
  });
}
