import { type CatalogVapp, SOURCE_KINDS, type SourceKind } from '../catalog/index.js';
import { matchesPattern } from '../common/index.js';
import type { Scope } from './scope-types.js';

/** An object of the inventory, with all a scope may ask about except its metadata. */
export interface ScopeCandidate
  extends Pick<
    CatalogVapp,
    'id' | 'vcloudId' | 'kind' | 'name' | 'organizationId' | 'organizationName' | 'vdcId' | 'vdcName' | 'vcdCatalogId' | 'vcdCatalogName'
  > {
  ownerName: string;
  vms: readonly ScopeVm[];
}

export interface ScopeVm {
  id: string;
  vcloudId: string;
  name: string;
}

export interface ScopeExclusions {
  vms: string[];
  disks: { vm: string; disk: string }[];
}

export type ScopeVerdict =
  /** `met`: every entry of the scope that this object fits, also where another condition leaves it out. */
  | { kind: 'outside'; met: string[] }
  /** `backupsAlone`: all of its VMs are excluded, so there is nothing to back up; the object itself is meant. */
  | { kind: 'excluded'; why: string[]; met: string[]; backupsAlone: boolean }
  | {
      kind: 'matched';
      why: string[];
      met: string[];
      /** For the settings of its backup: patterns as they are, because VMs come and go until it runs. */
      exclude: ScopeExclusions;
      excludedVms: { id: string; name: string; why: string }[];
    };

/** Templates and media are many and change seldom: they are meant only where a scope speaks of them. */
export function kindsOf(scope: Pick<Scope, 'kinds' | 'ids' | 'vcdCatalogs'>): readonly SourceKind[] {
  if (scope.kinds !== undefined) return scope.kinds;
  if (scope.vcdCatalogs !== undefined) return ['vapp-template', 'media'];
  return scope.ids === undefined ? ['vapp', 'standalone-vm'] : SOURCE_KINDS;
}

/**
 * Whether a scope means an object, and why. Pure: metadata, which only VCD knows, is judged by the caller.
 * Names are compared with * and ?, and case counts, as VCD's own names do; login names in any case.
 */
export function judge(scope: Scope, object: ScopeCandidate): ScopeVerdict {
  const conditions = inclusions(scope, object);
  const met = conditions.flatMap(({ label, fits }) => fits.map((entry) => conditionText(label, entry)));
  const inside = kindsOf(scope).includes(object.kind) && conditions.every(({ fits }) => fits.length > 0);
  if (!inside) return { kind: 'outside', met };
  const excludedBy = exclusions(scope, object).flatMap(({ label, fits }) =>
    fits.map((entry) => `excluded by ${conditionText(label, entry)}`),
  );
  if (excludedBy.length > 0) return { kind: 'excluded', why: excludedBy, met, backupsAlone: false };
  const excludedVms = object.vms.flatMap((vm) => {
    const entry = scope.exclude?.vms?.find((candidate) => namesVm(candidate, vm));
    return entry === undefined ? [] : [{ id: vm.id, name: vm.name, why: `excluded by ${conditionText('VM', entry)}` }];
  });
  if (object.vms.length > 0 && excludedVms.length === object.vms.length) {
    return { kind: 'excluded', why: ['all of its VMs are excluded'], met, backupsAlone: true };
  }
  const why = met.length > 0 ? met : ['everything in this cloud is meant'];
  return { kind: 'matched', why, met, exclude: exclusionsFor(scope, object), excludedVms };
}

interface Condition {
  label: string;
  /** The entries that the object fits. */
  fits: string[];
}

/** Every entry a scope could be met by, in the words of `met`: what is never met is worth a warning. */
export function expectations(scope: Scope): string[] {
  const lists: [string, readonly string[] | undefined][] = [
    ['organization', scope.organizations],
    ['VDC', scope.vdcs],
    ['name', scope.vappNames],
    ['id', scope.ids],
    ['owner', scope.owners],
    ['VCD catalog', scope.vcdCatalogs],
  ];
  return lists.flatMap(([label, entries]) => (entries ?? []).map((entry) => conditionText(label, entry)));
}

function inclusions(scope: Scope, object: ScopeCandidate): Condition[] {
  return [
    condition('organization', scope.organizations, (entry) => fitsNamed(entry, object.organizationId, object.organizationName)),
    condition('VDC', scope.vdcs, (entry) => fitsNamed(entry, object.vdcId, object.vdcName)),
    condition('name', scope.vappNames, (entry) => matchesPattern(object.name, entry)),
    condition('id', scope.ids, (entry) => hasId(entry, object)),
    condition('owner', scope.owners, (entry) => matchesPattern(object.ownerName.toLowerCase(), entry.toLowerCase())),
    condition('VCD catalog', scope.vcdCatalogs, (entry) => isInCatalog(entry, object)),
  ].filter((given) => given !== undefined);
}

function exclusions(scope: Scope, object: ScopeCandidate): Condition[] {
  const { organizations, vdcs, vappNames, ids, vcdCatalogs } = scope.exclude ?? {};
  return [
    condition('organization', organizations, (entry) => fitsNamed(entry, object.organizationId, object.organizationName)),
    condition('VDC', vdcs, (entry) => fitsNamed(entry, object.vdcId, object.vdcName)),
    condition('name', vappNames, (entry) => matchesPattern(object.name, entry)),
    condition('id', ids, (entry) => hasId(entry, object)),
    condition('VCD catalog', vcdCatalogs, (entry) => isInCatalog(entry, object)),
  ].filter((given) => given !== undefined);
}

function isInCatalog(entry: string, object: ScopeCandidate): boolean {
  return object.vcdCatalogId !== '' && fitsNamed(entry, object.vcdCatalogId, object.vcdCatalogName);
}

function condition(label: string, entries: readonly string[] | undefined, fits: (entry: string) => boolean): Condition | undefined {
  return entries === undefined ? undefined : { label, fits: entries.filter(fits) };
}

function conditionText(label: string, entry: string): string {
  return `${label} "${entry}"`;
}

function fitsNamed(entry: string, urn: string, name: string): boolean {
  return isUrn(entry) ? sameId(entry, urn) : matchesPattern(name, entry);
}

/** A standalone VM is one VM to a person: the vApp around it is VCD's own. */
function hasId(entry: string, object: ScopeCandidate): boolean {
  if (sameId(entry, object.id) || sameId(entry, object.vcloudId)) return true;
  return object.kind === 'standalone-vm' && object.vms.some((vm) => sameId(entry, vm.id) || sameId(entry, vm.vcloudId));
}

function namesVm(entry: string, vm: ScopeVm): boolean {
  return sameId(entry, vm.id) || (isUrn(entry) ? sameId(entry, vm.vcloudId) : matchesPattern(vm.name, entry));
}

function isUrn(entry: string): boolean {
  return /^urn:/i.test(entry);
}

function sameId(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** What of the scope's exclusions can concern this object: a URN of another vApp's VM cannot. */
function exclusionsFor(scope: Scope, object: ScopeCandidate): ScopeExclusions {
  const concerns = (entry: string) => !isUrn(entry) || object.vms.some((vm) => namesVm(entry, vm));
  return {
    vms: (scope.exclude?.vms ?? []).filter(concerns),
    disks: (scope.exclude?.disks ?? []).filter(({ vm }) => concerns(vm)),
  };
}
