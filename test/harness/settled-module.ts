import { Global, Module } from '@nestjs/common';
import { silentLogger } from '../../src/common/index.js';
import { LOGGER } from '../../src/config/index.js';
import { REPOSITORY } from '../../src/repository/index.js';

/** Manifests deleted since the process began. */
export const deletedManifests: string[] = [];
const repository = {
  assertDeletable: async () => undefined,
  deleteManifest: async ({ restorePointId }: { restorePointId: string }) => void deletedManifests.push(restorePointId),
};

/** What the rooms above the database find in the real service, for a spec that starts only some of them. */
@Global()
@Module({
  providers: [
    { provide: REPOSITORY, useValue: repository },
    { provide: LOGGER, useValue: silentLogger },
  ],
  exports: [REPOSITORY, LOGGER],
})
export class SettledModule {}
