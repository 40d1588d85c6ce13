import { parseXml, writeXml, type XmlElement } from '../../common/index.js';
import type { VappNetwork, VmCapture } from '../../vcd/index.js';
import type { PlanItem } from '../plan-types.js';
import { planItem } from './choose.js';

/**
 * NAT and firewall rules name VMs by their local id (VAppScopedVmId), and VCD refuses a whole network for one that is not in the
 * vApp: rules of VMs that do not come back are left out, each network with a sentence.
 * @param captured all VMs of the restore point's vApp
 * @param thereIds local ids of the VMs the vApp has in the end
 */
export function withoutRulesOfAbsentVms(
  networks: readonly VappNetwork[],
  captured: readonly Pick<VmCapture, 'name' | 'localId'>[],
  thereIds: ReadonlySet<string>,
): { networks: VappNetwork[]; items: PlanItem[] } {
  const absent = new Map(
    captured.flatMap(({ name, localId }) => (localId === undefined || thereIds.has(localId) ? [] : [[localId, name] as const])),
  );
  const items: PlanItem[] = [];
  if (absent.size === 0) return { networks: [...networks], items };
  const written = networks.map((network) => {
    const config = parseXml(network.xml);
    const named = new Set<string>();
    for (const service of config.find('Configuration', 'Features')?.elements() ?? []) {
      service.children = service.children.filter((node) => {
        const localId = typeof node === 'string' ? undefined : vmOf(node, absent);
        if (localId !== undefined) named.add(absent.get(localId) ?? localId);
        return localId === undefined;
      });
    }
    if (named.size === 0) return network;
    const names = [...named].map((name) => `"${name}"`).join(', ');
    const sentence = `Rules of vApp network "${network.name}" for ${named.size === 1 ? 'VM' : 'VMs'} ${names}, which ${named.size === 1 ? 'does' : 'do'} not come back, are left out.`;
    items.push(
      planItem(`networks.${network.name}.config.Configuration.Features`, 'missing', { captured: [...named], planned: null }, sentence),
    );
    return { ...network, xml: writeXml(config) };
  });
  return { networks: written, items };
}

/** The absent VM that a rule, or anything else of a service, names. */
function vmOf(element: XmlElement, absent: ReadonlyMap<string, string>): string | undefined {
  if (element.local === 'VAppScopedVmId') {
    const localId = element.text();
    return absent.has(localId) ? localId : undefined;
  }
  for (const child of element.elements()) {
    const found = vmOf(child, absent);
    if (found !== undefined) return found;
  }
  return undefined;
}
