import type { XmlElement } from '../common/index.js';
import { membersOf } from './affinity-rules.js';
import type { EntityReader } from './entity-reader.js';
import type { Place } from './capture-place.js';
import { linkHref, referenceOf, sameEntity, under, urnOf } from './links.js';
import { MEDIA } from './namespaces.js';
import type { AffinityRule, VmCapture } from './types.js';

/**
 * The rules of the VDC that name a VM of the vApp, by one request for the whole VDC.
 * @returns undefined where VCD shows them not at all: releases without the resource, and roles without the right to see it
 */
export async function captureAffinityRules(
  reader: EntityReader,
  place: Place,
  vms: readonly VmCapture[],
): Promise<AffinityRule[] | undefined> {
  const href = linkHref(place.vdcEntity, 'down', MEDIA.affinityRules) ?? under(place.vdc.href, 'vmAffinityRules');
  const answer = await reader.readOptional(href, 'the VM affinity rules');
  if (answer?.local !== 'VmAffinityRules') return undefined;
  const isMember = (rule: AffinityRule) => rule.vms.some((member) => vms.some((vm) => sameEntity(vm.href, member.href)));
  return answer.childrenNamed('VmAffinityRule').map(ruleOf).filter(isMember);
}

function ruleOf(rule: XmlElement): AffinityRule {
  return {
    href: rule.attribute('href') ?? '',
    name: rule.textAt('Name') ?? '',
    polarity: rule.textAt('Polarity') === 'Anti-Affinity' ? 'Anti-Affinity' : 'Affinity',
    // Both may be absent (AffinityRuleType): a rule that does not say so is not off.
    enabled: rule.textAt('IsEnabled') !== 'false',
    mandatory: rule.textAt('IsMandatory') !== 'false',
    vms: membersOf(rule).flatMap((element) => {
      const vm = referenceOf(element);
      return vm === undefined ? [] : [{ ...vm, id: vm.id ?? urnOf('vm', vm.href) }];
    }),
  };
}
