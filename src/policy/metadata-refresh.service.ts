import { Inject, Injectable } from '@nestjs/common';
import { CatalogService, type VappView } from '../catalog/index.js';
import { describeError, type Logger, withTimeout } from '../common/index.js';
import { CONFIG, LOGGER, type VaultConfig } from '../config/index.js';
import type { VcdClientApi } from '../vcd/index.js';
import { carryingMetadata, type MetadataCandidate } from './match-metadata.js';
import { kindsOf } from './match-scope.js';
import { MetadataReadStore } from './metadata-read-store.js';
import { PolicyObjectStore } from './object-store.js';
import type { PolicyEntity } from './policy.entity.js';
import { dependsOnMetadata, PolicyService } from './policy.service.js';
import type { Policy } from './policy-types.js';
import { readChoices } from './read-choices.js';
import { CLOUD_ACCESS, type CloudAccess, isRegistered } from './scope.service.js';

const REFRESH_TIMEOUT_MS = 30 * 60_000;

/**
 * Asks VCD for the metadata that policies depend on, and keeps the answers: while a VCD does not answer, what it said last
 * holds, and nothing that was protected falls out.
 */
@Injectable()
export class MetadataRefresh {
  constructor(
    private readonly catalog: CatalogService,
    private readonly policies: PolicyService,
    private readonly objects: PolicyObjectStore,
    private readonly reads: MetadataReadStore,
    @Inject(CLOUD_ACCESS) private readonly clouds: CloudAccess,
    @Inject(CONFIG) private readonly config: Pick<VaultConfig, 'policies'>,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  /** All clouds of the policies; one that does not answer keeps no other from being asked. */
  async refresh(policies: readonly PolicyEntity[], signal: AbortSignal): Promise<void> {
    for (const cloudId of new Set(policies.map(({ scope }) => scope.cloudId))) {
      const own = policies.filter(({ scope }) => scope.cloudId === cloudId);
      if (!(await this.isRead(cloudId, own))) continue;
      try {
        // Its policies go on, and nobody is to be asked.
        if (!(await isRegistered(this.clouds, cloudId))) continue;
        await this.reads.begin(cloudId);
        await withTimeout('Reading the metadata that policies depend on', REFRESH_TIMEOUT_MS, signal, (either) =>
          this.refreshCloud(cloudId, own, either),
        );
        await this.policies.noteRead(own);
        await this.reads.succeeded(cloudId);
      } catch (error) {
        if (signal.aborted) return;
        // Where the database is away, the try counts all the same.
        await this.reads.failed(cloudId, describeError(error)).catch(() => undefined);
        this.log.warn({ cloudId, reason: describeError(error) }, 'metadata for policies could not be read; what was read last holds');
      }
    }
  }

  /** One object, now. @throws CloudError; VcdError. */
  async refreshOne(vapp: VappView, policies: readonly Policy[], signal: AbortSignal): Promise<void> {
    const own = policies.filter(({ scope }) => scope.cloudId === vapp.cloudId);
    if (!vapp.present || !(await this.isRead(vapp.cloudId, own))) return;
    const vcd = await (await this.clouds.sessions(vapp.cloudId)).vcd(signal);
    await this.ask(vcd, vapp.cloudId, own, await this.candidates([vapp]), signal);
  }

  /** A choice that was made is read also when nothing is offered any more: until it is taken back, somebody is told of it. */
  private async isRead(cloudId: string, policies: readonly Policy[]): Promise<boolean> {
    return policies.some(dependsOnMetadata) || (policies.length > 0 && (await this.objects.haveChosen(cloudId)));
  }

  private async refreshCloud(cloudId: string, policies: readonly Policy[], signal: AbortSignal): Promise<void> {
    const candidates: Candidate[] = [];
    for await (const page of this.catalog.sourcesOf(cloudId, { present: true, signal })) candidates.push(...(await this.candidates(page)));
    await this.ask(await (await this.clouds.sessions(cloudId)).vcd(signal), cloudId, policies, candidates, signal);
  }

  private async ask(
    vcd: VcdClientApi,
    cloudId: string,
    policies: readonly Policy[],
    candidates: readonly Candidate[],
    signal: AbortSignal,
  ) {
    const carried = new Map<string, string[]>();
    for (const { id, scope } of policies) {
      if (scope.metadata === undefined) continue;
      const kinds = kindsOf(scope);
      const asked = candidates.filter(({ kind }) => kinds.includes(kind));
      for (const vcloudId of await carryingMetadata(vcd, scope.metadata, asked, signal)) {
        carried.set(vcloudId, [...(carried.get(vcloudId) ?? []), id]);
      }
    }
    const offered = policies.filter((policy) => policy.offered).map(({ name }) => name);
    const mayChoose = offered.length > 0 || (await this.objects.haveChosen(cloudId));
    const choices = mayChoose
      ? await readChoices(vcd, this.config.policies.metadataKey, offered, candidates, signal)
      : new Map<string, string>();
    await this.objects.saveMetadata(
      cloudId,
      candidates.map(({ vappId, vcloudId }) => ({ vappId, chosen: choices.get(vcloudId), carried: carried.get(vcloudId) ?? [] })),
    );
  }

  private async candidates(vapps: readonly VappView[]): Promise<Candidate[]> {
    const lone = vapps.filter(({ kind }) => kind === 'standalone-vm').map(({ id }) => id);
    const vms = await this.catalog.vmsOfVapps(lone);
    return vapps.map(({ id, vcloudId, href, kind }) => ({
      vappId: id,
      vcloudId,
      href,
      kind,
      vmHrefs: (vms.get(id) ?? []).map((vm) => vm.href).filter((address) => address !== ''),
    }));
  }
}

type Candidate = MetadataCandidate & { vappId: string };
