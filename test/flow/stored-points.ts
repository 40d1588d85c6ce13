import { createHash, type Hash } from 'node:crypto';
import { join } from 'node:path';
import type { ManifestContent, RestorePointRow } from '../../src/catalog/index.js';
import { silentLogger } from '../../src/common/index.js';
import { loadConfig, openMasterKey } from '../../src/config/index.js';
import { type DiskIndexRef, FolderStore, Repository } from '../../src/repository/index.js';
import type { World } from './world.js';

type Point = Pick<RestorePointRow, 'id' | 'organizationId'>;

/** What really lies in the repository, read beside the service as a catalog rebuild would. */
export class StoredPoints {
  private constructor(private readonly repository: Repository) {}

  static async open(world: World): Promise<StoredPoints> {
    const { masterKey } = loadConfig({ VAPP_VAULT_DATA_DIR: join(world.dataDir, 'service') }, world.dataDir);
    const store = await FolderStore.open(world.repositoryDir);
    return new StoredPoints(await Repository.open({ store, masterKey: await openMasterKey(masterKey), log: silentLogger }));
  }

  async content(point: Point): Promise<ManifestContent> {
    return (await this.repository.readManifest(refOf(point))).content as ManifestContent;
  }

  /** The description of the source. */
  async capture<T>(point: Point): Promise<T> {
    const { vappCaptureDocument } = await this.content(point);
    return JSON.parse((await this.repository.readDocument(refOf(point), vappCaptureDocument)).toString('utf8')) as T;
  }

  document(point: Point, id: string): Promise<Buffer> {
    return this.repository.readDocument(refOf(point), id);
  }

  /** SHA-256 of the first bytes of a disk, or of all of it. */
  async sha256(point: Point, disk: { diskId: string } & DiskIndexRef, lengthBytes = disk.capacityBytes): Promise<string> {
    const reader = await this.repository.openDisk(refOf(point), disk);
    const hash: Hash = createHash('sha256');
    const chunk = Buffer.alloc(disk.chunkBytes);
    for (let startBytes = 0; startBytes < lengthBytes; startBytes += disk.chunkBytes) {
      await reader.read(chunk, [{ chunkIndex: startBytes / disk.chunkBytes, offset: 0 }]);
      hash.update(chunk.subarray(0, Math.min(disk.chunkBytes, lengthBytes - startBytes)));
    }
    return hash.digest('hex');
  }
}

function refOf({ id, organizationId }: Point) {
  return { organizationId, restorePointId: id };
}
