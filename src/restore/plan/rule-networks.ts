import { parseXml, writeXml } from '../../common/index.js';
import { sameEntity, type VappNetwork, type VcdReference, type VdcResources, writableNetworkConfig } from '../../vcd/index.js';
import type { PlanItem } from '../plan-types.js';
import type { RestoreRequest } from '../restore-request.js';
import { assertOption, type Options, planItem } from './choose.js';

export interface RuledNetworks {
  networks: VappNetwork[];
  /** Captured parent -> today's, and today's -> itself, by href. */
  parents: Map<string, string>;
  /** Names of networks that get another parent: addresses of the captured one mean nothing there. */
  remapped: Set<string>;
  items: PlanItem[];
}

/**
 * The vApp's networks with today's parents: the chosen one, the captured one, else the network of the
 * same name in the target VDC. Without any of them a network is restored isolated: its VMs still reach
 * each other with their addresses, and nothing is plugged into a network nobody chose.
 */
export function ruleNetworks(captured: readonly VappNetwork[], vdc: VdcResources, choices: RestoreRequest['choices']): RuledNetworks {
  const parents = new Map<string, string>();
  const remapped = new Set<string>();
  const items: PlanItem[] = [];
  const networks = captured.map((network) => {
    const { parent, item } = matchParent(network, vdc, choices.networks?.[network.name]);
    if (item) items.push(item);
    if (parent !== undefined) {
      if (network.parent !== undefined && choices.networks?.[network.name] === undefined) parents.set(network.parent.href, parent.href);
      parents.set(parent.href, parent.href);
    }
    if (network.parent === undefined) return network;
    if (parent !== undefined && isAnother(network.parent, parent)) {
      remapped.add(network.name);
      if (network.fenceMode === 'bridged') items.push(addressesItem(network, parent));
    }
    return adapted(network, parent);
  });
  return { networks, parents, remapped, items };
}

/** In another VDC a network of the same name has its own addresses, too. */
function isAnother(captured: VcdReference, today: VcdReference): boolean {
  return !sameEntity(captured.href, today.href);
}

/** A bridged network has no addresses of its own: VCD shows its parent's. */
function addressesItem({ name, parent }: VappNetwork, today: VcdReference): PlanItem {
  const values = { captured: parent?.name ?? parent?.href, planned: today.name ?? today.href };
  const sentence = `vApp network "${name}" is bridged, so its addresses become those of "${values.planned}".`;
  return planItem(`networks.${name}.config.Configuration.IpScopes`, 'changed', values, sentence);
}

function matchParent(network: VappNetwork, vdc: VdcResources, request: string | undefined): { parent?: VcdReference; item?: PlanItem } {
  const attribute = `networks.${network.name}.config.Configuration.ParentNetwork`;
  const field = `networks.${network.name}`;
  const options: Options = [
    ...vdc.networks.map((candidate) => ({ value: candidate.name ?? candidate.href, label: candidate.name ?? candidate.href })),
    { value: 'isolated', label: 'Isolated: no parent' },
  ];
  const captured = network.parent?.name ?? network.parent?.href;
  if (captured === undefined) {
    // An isolated network has nothing to map; giving it a parent would be another network.
    if (request !== undefined) assertOption(field, request, [{ value: 'isolated', label: 'isolated' }]);
    return {};
  }
  if (request !== undefined) {
    const parent = vdc.networks.find((candidate) => [candidate.name, candidate.id, candidate.href].includes(request));
    if (parent === undefined) assertOption(field, request, options);
    const chosen = parent?.name ?? 'isolated';
    const same = parent?.name === captured;
    const sentence = same ? '' : `The request connects vApp network "${network.name}" to "${chosen}" instead of "${captured}".`;
    const item = planItem(attribute, same ? 'fits' : 'changed', { captured, planned: chosen }, sentence, {
      choice: { field, chosen, options },
    });
    return parent === undefined ? { item } : { parent, item };
  }
  const byHref = vdc.networks.find((candidate) => candidate.href === network.parent?.href);
  const today = byHref ?? vdc.networks.find((candidate) => candidate.name === captured);
  const choice = { field, chosen: today?.name ?? 'isolated', options };
  const values = { captured, planned: today?.name ?? 'isolated' };
  if (today === undefined) {
    const sentence = `Parent network "${captured}" of vApp network "${network.name}" is not in VDC "${vdc.name}"; the network is restored isolated.`;
    return { item: planItem(attribute, 'missing', values, sentence, { choice }) };
  }
  if (today.name === captured) return { parent: today, item: planItem(attribute, 'fits', values, '', { choice }) };
  const sentence = `Parent network "${captured}" of vApp network "${network.name}" is called "${today.name}" today.`;
  return { parent: today, item: planItem(attribute, 'changed', values, sentence, { choice }) };
}

/** The network as it is written: what VCD makes of it without its parent is what the client sends. */
function adapted(network: VappNetwork, parent: VcdReference | undefined): VappNetwork {
  const { parent: captured, ...rest } = network;
  const parents = new Map(captured && parent ? [[captured.href, parent.href]] : []);
  const config = parseXml(writeXml(writableNetworkConfig(network, parents)));
  if (parent === undefined) return { ...rest, fenceMode: 'isolated', xml: writeXml(config) };
  const element = config.find('Configuration', 'ParentNetwork');
  if (parent.name !== undefined) element?.setAttribute('name', parent.name);
  if (network.fenceMode === 'bridged' && captured !== undefined && isAnother(captured, parent)) {
    const configuration = config.find('Configuration');
    if (configuration)
      configuration.children = configuration.elements().filter((part) => part.local !== 'IpScopes' && part.local !== 'IpScope');
  }
  return { ...rest, parent, xml: writeXml(config) };
}
