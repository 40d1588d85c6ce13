import type { SimulatedCloud } from './parts.js';

export interface LeftBehind {
  cloneDir: string;
  dataDir: string;
  cloudDir: string;
  serviceDir: string;
  serviceUrl: string;
  cloud: SimulatedCloud;
  apiKey: string;
}

/** Commands to type as they are. The ports are those of the demo: the service knows the cloud by its URLs. */
export function startAgainText({ cloneDir, dataDir, cloudDir, serviceDir, serviceUrl, cloud, apiKey }: LeftBehind): string {
  const port = (url: string) => new URL(url).port;
  const ports = `--vcd-port ${port(cloud.vcd.url)} --vcenter-port ${port(cloud.vcenter.url)} --control-port ${port(cloud.control.url)}`;
  const settings = [
    `VAPP_VAULT_DATA_DIR=${shellWord(serviceDir)}`,
    `VAPP_VAULT_PORT=${port(serviceUrl)}`,
    `VAPP_VAULT_VDDK_LIBRARY_DIR=${shellWord(cloud.vddkLibraryDir)}`,
  ];
  return [
    `The data stays in ${dataDir}. To start the parts again, each in a terminal of its own:`,
    `  cd ${shellWord(cloneDir)} && npm run simulator -- --listen 127.0.0.1 ${ports} --data ${shellWord(cloudDir)}`,
    `  cd ${shellWord(cloneDir)} && ${settings.join(' ')} npm start`,
    'and to see the restore points:',
    `  curl -H 'Authorization: Bearer ${apiKey}' ${serviceUrl}/api/v1/restore-points`,
  ].join('\n');
}

function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
