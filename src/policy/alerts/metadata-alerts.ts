import { Inject, Injectable } from '@nestjs/common';
import { type AlertFact, severityOfStale, STALE_TRIES, staleAfterMinutes } from '../../alerts/index.js';
import { CONFIG, type VaultConfig } from '../../config/index.js';
import { MetadataReadStore, type StaleMetadata } from '../metadata-read-store.js';
import { CLOUD_ACCESS, type CloudAccess, isRegistered } from '../scope.service.js';

/** Clouds whose metadata cannot be read: policies that choose by it go by what was read last, and follow what is there no more. */
@Injectable()
export class MetadataAlerts {
  constructor(
    private readonly reads: MetadataReadStore,
    @Inject(CLOUD_ACCESS) private readonly clouds: CloudAccess,
    @Inject(CONFIG) private readonly config: Pick<VaultConfig, 'policies'>,
  ) {}

  async firing(): Promise<AlertFact[]> {
    const stale = await this.reads.stale(STALE_TRIES, staleAfterMinutes(this.config.policies.metadataRefreshMinutes));
    const facts: AlertFact[] = [];
    for (const read of stale) {
      const { cloudId, readAt, minutes, retentionWaits } = read;
      if (!(await isRegistered(this.clouds, cloudId))) continue;
      const { cloudName } = await this.clouds.sessions(cloudId);
      facts.push({
        key: cloudId,
        severity: severityOfStale(minutes),
        organizationId: '',
        subject: `cloud "${cloudName}"`,
        message: sentenceOf(cloudName, read),
        details: { cloudId, readAt: readAt?.toISOString() ?? null, retentionWaits },
      });
    }
    return facts;
  }
}

function sentenceOf(cloudName: string, { askedAt, readAt, tries, error, retentionWaits }: StaleMetadata): string {
  const since = readAt === null ? `asked for since ${askedAt.toISOString()} and never read` : `read last at ${readAt.toISOString()}`;
  const waits = retentionWaits ? ', and no restore point of that cloud is deleted until they can be' : '';
  const why = error ?? `${tries} tries were begun and none has ended; look at the log of the workers`;
  return `The metadata in cloud "${cloudName}" by which policies choose were ${since}, so policies do not follow what has changed there${waits}; look at its address and login: ${why}`;
}
