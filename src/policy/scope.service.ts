import { Inject, Injectable } from '@nestjs/common';
import { CatalogService, type SourceKind, type VappView } from '../catalog/index.js';
import { withTimeout } from '../common/index.js';
import type { VcdClientApi } from '../vcd/index.js';
import { carryingMetadata } from './match-metadata.js';
import { expectations, judge, kindsOf, type ScopeExclusions, type ScopeVerdict, type ScopeVm } from './match-scope.js';
import type { Scope } from './scope-types.js';

export const CLOUD_ACCESS = Symbol('CLOUD_ACCESS');

/** How this room reaches a cloud; the rooms of clouds and policy do not know each other. */
export interface CloudAccess {
  /** Opens nothing before it is asked for. @throws CloudError CLOUD_NOT_FOUND. */
  sessions(cloudId: string): Promise<ScopeCloud>;
}

export interface ScopeCloud {
  readonly cloudName: string;
  vcd(signal?: AbortSignal): Promise<VcdClientApi>;
}

/** Whether the service knows the cloud. */
export async function isRegistered(clouds: CloudAccess, cloudId: string): Promise<boolean> {
  try {
    await clouds.sessions(cloudId);
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === 'CLOUD_NOT_FOUND') return false;
    throw error;
  }
}

/** What is meant, and what its backup leaves out. */
export interface ScopeItem {
  vappId: string;
  name: string;
  kind: SourceKind;
  organizationName: string;
  vdcName: string;
  why: string[];
  exclude: ScopeExclusions;
  excludedVms: { id: string; name: string; why: string }[];
}

export type ExcludedItem = Pick<ScopeItem, 'vappId' | 'name' | 'kind' | 'organizationName' | 'vdcName' | 'why'>;

export interface ScopeResolution {
  /** By name. */
  items: ScopeItem[];
  /** What would be meant, and is excluded. */
  excluded: ExcludedItem[];
  /** Conditions that nothing in the inventory meets: most likely a slip of the pen. */
  warnings: string[];
}

/** Somebody waits for it; where VCD cannot filter by metadata, thousands of objects are read one by one. */
const RESOLVE_TIMEOUT_MS = 300_000;

/** Which objects of a cloud a scope means today, by the last inventory; metadata by VCD itself. */
@Injectable()
export class ScopeService {
  constructor(
    private readonly catalog: CatalogService,
    @Inject(CLOUD_ACCESS) private readonly clouds: CloudAccess,
  ) {}

  /** @throws CloudError CLOUD_NOT_FOUND; VcdError where metadata are asked for; TimeoutError. */
  async resolve(scope: Scope, signal?: AbortSignal): Promise<ScopeResolution> {
    const cloud = await this.clouds.sessions(scope.cloudId);
    const what = `Finding what the scope means in cloud "${cloud.cloudName}"`;
    return withTimeout(what, RESOLVE_TIMEOUT_MS, signal, (either) => this.found(scope, cloud, either));
  }

  private async found(scope: Scope, cloud: ScopeCloud, signal: AbortSignal): Promise<ScopeResolution> {
    const unmet = new Set(expectations(scope));
    let found: Judged[] = [];
    for await (const judged of this.judged(scope, signal)) {
      for (const entry of judged.verdict.met) unmet.delete(entry);
      if (judged.verdict.kind !== 'outside') found.push(judged);
    }
    if (scope.metadata !== undefined && found.length > 0) {
      const candidates = found.map(({ vapp, vms }) => candidateOf(vapp, vms));
      const carriers = await carryingMetadata(await cloud.vcd(signal), scope.metadata, candidates, signal);
      found = found.filter(({ vapp }) => carriers.has(vapp.vcloudId));
    }
    const metadataWhy = (scope.metadata ?? []).map(
      ({ key, value, domain }) => `metadata ${domain === 'SYSTEM' ? 'SYSTEM ' : ''}"${key}" is "${value}"`,
    );
    return {
      items: found.flatMap(({ vapp, verdict }) => (verdict.kind === 'matched' ? [itemOf(vapp, verdict, metadataWhy)] : [])),
      excluded: found.flatMap(({ vapp, verdict }) => (verdict.kind === 'excluded' ? [{ ...shown(vapp), why: verdict.why }] : [])),
      warnings: [...unmet].map((entry) => `Nothing in the inventory of cloud "${cloud.cloudName}" fits ${entry}.`),
    };
  }

  private async *judged(scope: Scope, signal: AbortSignal): AsyncGenerator<Judged> {
    const asked = new Set<SourceKind>(kindsOf(scope));
    const ofVms = scope.ids !== undefined || scope.exclude !== undefined || scope.metadata !== undefined;
    for await (const page of this.catalog.sourcesOf(scope.cloudId, { present: true, signal })) {
      const withVms = ofVms ? page.filter(({ kind }) => asked.has(kind)).map(({ id }) => id) : [];
      const vms = await this.catalog.vmsOfVapps(withVms);
      for (const vapp of page) {
        const own = vms.get(vapp.id) ?? [];
        yield { vapp, vms: own, verdict: judge(scope, { ...vapp, vms: own }) };
      }
    }
  }
}

interface Judged {
  vapp: VappView;
  vms: readonly (ScopeVm & { href: string })[];
  verdict: ScopeVerdict;
}

function candidateOf({ vcloudId, href, kind }: VappView, vms: readonly { href: string }[]) {
  return { vcloudId, href, kind, vmHrefs: kind === 'standalone-vm' ? vms.map((vm) => vm.href).filter((address) => address !== '') : [] };
}

function itemOf(vapp: VappView, verdict: ScopeVerdict & { kind: 'matched' }, metadataWhy: readonly string[]): ScopeItem {
  const { exclude, excludedVms } = verdict;
  const why = metadataWhy.length > 0 ? [...verdict.met, ...metadataWhy] : verdict.why;
  return { ...shown(vapp), why, exclude, excludedVms };
}

function shown({ id: vappId, name, kind, organizationName, vdcName }: VappView): Omit<ExcludedItem, 'why'> {
  return { vappId, name, kind, organizationName, vdcName };
}
