import { defined, VsphereError } from './errors.js';
import type { Inventory } from './inventory.js';
import type { VimSession } from './session.js';
import type { ManagedObject } from './vim-xml.js';

const TIMEOUT_MS = 5 * 60_000;
const FORBIDDEN =
  '; give the registered vCenter user the privileges "Datastore > Browse datastore" and "Datastore > Low level file operations"';

/** `[datastore] folder/file`, as vSphere writes paths. @throws VsphereError BAD_PATH. */
export function parseDatastorePath(path: string): { datastoreName: string; filePath: string } {
  const match = /^\[([^\]]+)\] ?(.+)$/.exec(path);
  const [, datastoreName, filePath] = match ?? [];
  if (datastoreName === undefined || filePath === undefined || filePath.startsWith('/') || filePath.split('/').includes('..')) {
    throw new VsphereError(`"${path}" is not a datastore path of the form "[datastore] folder/file".`, { code: 'BAD_PATH', subject: path });
  }
  return { datastoreName, filePath };
}

/**
 * Small files of a VM (NVRAM, vmx) through vCenter's HTTPS access to datastores: /folder/PATH with
 * dcPath and dsName, under the session's cookie. Disks do not go this way.
 */
export class DatastoreFiles {
  constructor(
    private readonly session: VimSession,
    private readonly inventory: Inventory,
  ) {}

  async download(path: string, near: ManagedObject | undefined, signal?: AbortSignal): Promise<Buffer> {
    const doing = `the download of ${path}`;
    const target = await this.target(path, near, signal);
    const response = await this.session.http({ method: 'GET', path: target, timeoutMs: TIMEOUT_MS, signal }, doing);
    if (response.status !== 200) throw this.refused(path, doing, response.status);
    return response.body;
  }

  async upload(path: string, data: Buffer, near: ManagedObject | undefined, signal?: AbortSignal): Promise<void> {
    const doing = `the upload of ${path}`;
    const target = await this.target(path, near, signal);
    const headers = { 'Content-Type': 'application/octet-stream' };
    const response = await this.session.http({ method: 'PUT', path: target, headers, body: data, timeoutMs: TIMEOUT_MS, signal }, doing);
    if (response.status < 200 || response.status > 299) throw this.refused(path, doing, response.status);
  }

  private async target(path: string, near: ManagedObject | undefined, signal?: AbortSignal): Promise<string> {
    const { datastoreName, filePath } = parseDatastorePath(path);
    const dcPath =
      near === undefined ? await this.onlyDatacenter(datastoreName, signal) : (await this.inventory.datacenterOf(near, signal)).path;
    const query = new URLSearchParams({ dcPath, dsName: datastoreName });
    return `/folder/${filePath.split('/').map(encodeURIComponent).join('/')}?${query}`;
  }

  /** Datastore names are unique within a datacenter only. */
  private async onlyDatacenter(datastoreName: string, signal?: AbortSignal): Promise<string> {
    const [datacenter, ...others] = await this.inventory.datacentersWithDatastore(datastoreName, signal);
    if (datacenter === undefined || others.length > 0) {
      const count = datacenter === undefined ? 'no datacenter has' : `${others.length + 1} datacenters have`;
      throw new VsphereError(`On vCenter ${this.session.transport.name}, ${count} a datastore "${datastoreName}".`, {
        code: datacenter === undefined ? 'NOT_FOUND' : 'AMBIGUOUS_DATASTORE',
        subject: `datastore "${datastoreName}"`,
      });
    }
    return this.inventory.pathOf(datacenter, signal);
  }

  private refused(path: string, doing: string, status: number): VsphereError {
    const isMissing = status === 404;
    const isPassing = status === 429 || status >= 500;
    return new VsphereError(
      isMissing
        ? `vCenter ${this.session.transport.name} has no file ${path}.`
        : `vCenter ${this.session.transport.name} refused ${doing}: HTTP ${status}${status === 403 ? FORBIDDEN : ''}.`,
      { code: isMissing ? 'NOT_FOUND' : 'FILE_TRANSFER_FAILED', retryable: isPassing, subject: path, details: defined({ status }) },
    );
  }
}
