import type { XmlElement } from '../../../../src/common/index.js';
import type { AffinityRule, Vdc } from '../state.js';
import { build, links, MEDIA } from '../xml-names.js';
import { vmReference } from './disk-view.js';
import type { Viewer } from './viewer.js';

/** A rule, elements in the order of VmAffinityRuleType; VMs the viewer may not see are not shown. */
export function affinityRuleView(viewer: Viewer, rule: AffinityRule): XmlElement {
  const { cloud, hrefs } = viewer;
  const href = hrefs.affinityRule(rule.id);
  const vms = cloud.state.vms.filter((vm) => rule.vmIds.includes(vm.id) && cloud.accessLevel(viewer.session, cloud.vappOf(vm)) !== 'none');
  return build(
    'VmAffinityRule',
    { id: `urn:vcloud:vmAffinityRule:${rule.id}`, href, type: `${MEDIA.affinityRule}+xml` },
    links('edit', href, MEDIA.affinityRule),
    links('remove', href),
    links('up', hrefs.vdc(rule.vdcId), MEDIA.vdc),
    build('Name', {}, rule.name),
    build('IsEnabled', {}, rule.enabled),
    build('IsMandatory', {}, rule.mandatory),
    build('Polarity', {}, rule.polarity),
    build(
      'VmReferences',
      {},
      vms.map((vm) => vmReference(viewer, vm)),
    ),
  );
}

export function affinityRulesView(viewer: Viewer, vdc: Vdc): XmlElement {
  const href = `${viewer.hrefs.vdc(vdc.id)}/vmAffinityRules/`;
  return build(
    'VmAffinityRules',
    { href, type: `${MEDIA.affinityRules}+xml` },
    links('add', href, MEDIA.affinityRule),
    viewer.cloud.state.affinityRules.filter((rule) => rule.vdcId === vdc.id).map((rule) => affinityRuleView(viewer, rule)),
  );
}
