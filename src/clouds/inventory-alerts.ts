import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { type AlertFact, severityOfStale, STALE_TRIES, staleAfterMinutes } from '../alerts/index.js';
import { CONFIG, type VaultConfig } from '../config/index.js';
import type { UnlistedVcenter } from './cloud.entity.js';

interface StaleInventory {
  id: string;
  name: string;
  createdAt: Date;
  refreshedAt: Date | null;
  refreshError: string | null;
  unended: number;
  minutes: number;
}

interface UnlistedVcenterRow extends UnlistedVcenter {
  id: string;
  name: string;
  uuid: string;
  minutes: number;
}

/**
 * Clouds whose inventory cannot be taken, also where every try dies with its process or hangs, and leaves no error: runs of vApps that are
 * known fail and tell of themselves, one that has come since fails nowhere.
 */
@Injectable()
export class InventoryAlerts {
  constructor(
    private readonly dataSource: DataSource,
    @Inject(CONFIG) private readonly config: Pick<VaultConfig, 'inventory'>,
  ) {}

  async firing(): Promise<AlertFact[]> {
    const { refreshMinutes } = this.config.inventory;
    if (refreshMinutes === 0) return [];
    const patienceMinutes = staleAfterMinutes(refreshMinutes);
    return [...(await this.staleClouds(patienceMinutes)), ...(await this.unlistedVcenters(patienceMinutes))];
  }

  private async staleClouds(patienceMinutes: number): Promise<AlertFact[]> {
    const rows: StaleInventory[] = await this.dataSource.query(
      `SELECT * FROM (
         SELECT id, name, created_at AS "createdAt", refreshed_at AS "refreshedAt", refresh_error AS "refreshError",
           refresh_unended AS unended, (EXTRACT(EPOCH FROM now() - COALESCE(refreshed_at, created_at)) / 60)::float8 AS minutes
         FROM clouds WHERE refresh_error IS NOT NULL OR refresh_unended >= $2) failed
       WHERE minutes > $1 ORDER BY id`,
      [patienceMinutes, STALE_TRIES],
    );
    return rows.map((row) => ({
      key: row.id,
      severity: severityOfStale(row.minutes),
      organizationId: '',
      subject: `cloud "${row.name}"`,
      message: sentenceOf(row),
      details: { cloudId: row.id, refreshedAt: row.refreshedAt?.toISOString() ?? null },
    }));
  }

  /** A vCenter that does not answer keeps no inventory from being complete in all else: the refresh ends well. */
  private async unlistedVcenters(patienceMinutes: number): Promise<AlertFact[]> {
    const rows: UnlistedVcenterRow[] = await this.dataSource.query(
      `SELECT * FROM (
         SELECT id, name, uuid, vcenter->>'url' AS url, vcenter->>'sinceAt' AS "sinceAt", vcenter->>'error' AS error,
           (EXTRACT(EPOCH FROM now() - (vcenter->>'sinceAt')::timestamptz) / 60)::float8 AS minutes
         FROM clouds, jsonb_each(unlisted_vcenters) AS unlisted (uuid, vcenter)) failed
       WHERE minutes > $1 ORDER BY id, uuid`,
      [patienceMinutes],
    );
    return rows.map((row) => ({
      key: `${row.id}:${row.uuid}`,
      severity: severityOfStale(row.minutes),
      organizationId: '',
      subject: `vCenter ${row.url} of cloud "${row.name}"`,
      message: `The first class disks of vCenter ${row.url} of cloud "${row.name}" could not be listed since ${row.sinceAt}, so what is new there is backed up by nobody; look at its address, certificate and login: ${row.error}`,
      details: { cloudId: row.id, vcenterInstanceUuid: row.uuid, sinceAt: row.sinceAt },
    }));
  }
}

function sentenceOf({ name, createdAt, refreshedAt, refreshError, unended }: StaleInventory): string {
  const since =
    refreshedAt === null
      ? `has never been complete since it was registered at ${createdAt.toISOString()}`
      : `could not be refreshed since ${refreshedAt.toISOString()}`;
  const what = `The inventory of cloud "${name}" ${since}, so what is new there is backed up by nobody`;
  if (unended >= STALE_TRIES)
    return `${what}; ${unended} tries were begun, and none has ended: look whether workers die while they take it, or hang, and at their log.`;
  return `${what}; look at its address, certificates and logins: ${refreshError}`;
}
