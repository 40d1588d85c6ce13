import { randomUUID } from 'node:crypto';
import type { XmlElement } from '../../../../src/common/index.js';
import type { VcdCloud } from '../cloud.js';
import { type Answer, type Exchange, readBody } from '../exchange.js';
import { badRequest } from '../faults.js';
import { idFromHref } from '../hrefs.js';
import type { AffinityRule, Vdc, Vm } from '../state.js';
import { MEDIA } from '../xml-names.js';
import { requireAffinityRule, ruleName } from './entities.js';
import { accepted } from './guard.js';
import { isTrue } from './nics.js';

/** A rule keeps VMs together or apart, so one VM is no rule. */
const MIN_VMS = 2;

type RuleBody = Pick<AffinityRule, 'name' | 'polarity' | 'enabled' | 'mandatory' | 'vmIds'>;

/** POST vdc/{id}/vmAffinityRules/: 202; the task's owner is the new rule. */
export function createAffinityRule(exchange: Exchange): Answer {
  const { cloud } = exchange;
  const vdc = cloud.requireVdc(exchange.session, exchange.parameters.id ?? '');
  const rule: AffinityRule = { id: randomUUID(), vdcId: vdc.id, ...readRule(exchange, vdc) };
  return accepted(exchange, {
    operationName: 'affinityRuleCreate',
    operation: 'Creating VM Affinity Rule',
    entity: ruleName(rule, vdc.organizationId),
    work: () => {
      cloud.state.affinityRules.push(rule);
      cloud.changed();
    },
  });
}

/** PUT: all of it, but for the polarity, which stays what it was when the rule was made. */
export function updateAffinityRule(exchange: Exchange): Answer {
  const { cloud } = exchange;
  const rule = requireAffinityRule(exchange, exchange.parameters.id ?? '', 'write');
  const vdc = cloud.requireVdc(exchange.session, rule.vdcId);
  const wanted = readRule(exchange, vdc);
  if (wanted.polarity !== rule.polarity) throw badRequest(`The polarity of affinity rule "${rule.name}" cannot be changed.`);
  return accepted(exchange, {
    operationName: 'affinityRuleUpdate',
    operation: 'Updating VM Affinity Rule',
    entity: ruleName(rule, vdc.organizationId),
    work: () => {
      Object.assign(rule, wanted);
      cloud.changed();
    },
  });
}

export function deleteAffinityRule(exchange: Exchange): Answer {
  const { cloud } = exchange;
  const rule = requireAffinityRule(exchange, exchange.parameters.id ?? '', 'write');
  const vdc = cloud.requireVdc(exchange.session, rule.vdcId);
  return accepted(exchange, {
    operationName: 'affinityRuleDelete',
    operation: 'Deleting VM Affinity Rule',
    entity: ruleName(rule, vdc.organizationId),
    work: () => {
      cloud.state.affinityRules = cloud.state.affinityRules.filter((candidate) => candidate.id !== rule.id);
      cloud.changed();
    },
  });
}

/** A deleted VM leaves its rules; a rule of fewer than two VMs says nothing and goes. */
export function leaveAffinityRules(cloud: VcdCloud, vm: Vm): void {
  for (const rule of cloud.state.affinityRules) rule.vmIds = rule.vmIds.filter((id) => id !== vm.id);
  cloud.state.affinityRules = cloud.state.affinityRules.filter((rule) => rule.vmIds.length >= MIN_VMS);
}

function readRule(exchange: Exchange, vdc: Vdc): RuleBody {
  const { cloud } = exchange;
  const body = readBody(exchange, { element: 'VmAffinityRule', media: MEDIA.affinityRule });
  const name = body.textAt('Name') ?? '';
  if (name === '' || name.length > 128) throw badRequest('The affinity rule name must have 1 to 128 characters.');
  // Names need not be unique (go-vcloud-director, GetVmAffinityRulesByName, answers with a list).
  const polarity = body.textAt('Polarity');
  if (polarity !== 'Affinity' && polarity !== 'Anti-Affinity') throw badRequest(`The affinity rule "${name}" needs a polarity.`);
  const references = (body.childrenNamed('VmReferences') as XmlElement[]).flatMap((vms) => vms.childrenNamed('VmReference'));
  const vmIds = references.map((reference) => {
    const vm = cloud.requireVm(exchange.session, idFromHref(reference.attribute('href', '') ?? '', 'vApp/vm-'));
    if (cloud.vappOf(vm).vdcId !== vdc.id) throw badRequest(`The VM "${vm.name}" of affinity rule "${name}" is not in VDC "${vdc.name}".`);
    return vm.id;
  });
  if (new Set(vmIds).size !== vmIds.length) throw badRequest(`The affinity rule "${name}" names a VM twice.`);
  if (vmIds.length < MIN_VMS) throw badRequest(`The affinity rule "${name}" needs at least ${MIN_VMS} VMs.`);
  return {
    name,
    polarity,
    enabled: isTrue(body.textAt('IsEnabled') ?? 'true'),
    mandatory: isTrue(body.textAt('IsMandatory') ?? 'true'),
    vmIds,
  };
}
