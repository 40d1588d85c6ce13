import { describe, expect, it } from 'vitest';
import { parseXml } from '../../common/index.js';
import type { VappNetwork } from '../../vcd/index.js';
import { withoutRulesOfAbsentVms } from './rule-absent-vms.js';

const nat = (id: string) =>
  `<NatRule><OneToOneVmRule><VAppScopedVmId>${id}</VAppScopedVmId><VmNicId>0</VmNicId></OneToOneVmRule></NatRule>`;
const wall = (id: string) => `<FirewallRule><DestinationVm><VAppScopedVmId>${id}</VAppScopedVmId></DestinationVm></FirewallRule>`;
const NETWORK: VappNetwork = {
  name: 'front',
  fenceMode: 'natRouted',
  xml:
    `<NetworkConfig networkName="front"><Configuration><Features><DhcpService><IsEnabled>true</IsEnabled></DhcpService>` +
    `<FirewallService><DefaultAction>drop</DefaultAction>${wall('web-local')}<FirewallRule><Policy>allow</Policy></FirewallRule></FirewallService>` +
    `<NatService><IsEnabled>true</IsEnabled>${nat('web-local')}${nat('db-local')}</NatService></Features></Configuration></NetworkConfig>`,
};
const PLAIN: VappNetwork = {
  name: 'plain',
  fenceMode: 'isolated',
  xml: '<NetworkConfig networkName="plain"><Configuration/></NetworkConfig>',
};
const VMS = [
  { name: 'web', localId: 'web-local' },
  { name: 'db', localId: 'db-local' },
  { name: 'old', localId: undefined },
];
const restored = (...there: string[]) =>
  withoutRulesOfAbsentVms(
    [NETWORK, PLAIN],
    VMS.map(({ name, localId }) => ({ name, ...(localId !== undefined && { localId }) })),
    new Set(there),
  );

describe('rules of VMs that do not come back', () => {
  it('are left out, with everything else of the network as it was', () => {
    const { networks, items } = restored('db-local');
    const features = parseXml(networks[0]?.xml ?? '').find('Configuration', 'Features');
    const rulesIn = (service: string) =>
      features
        ?.child(service)
        ?.elements()
        .map((rule) => rule.local);
    expect(rulesIn('NatService')).toEqual(['IsEnabled', 'NatRule']);
    expect(features?.find('NatService', 'NatRule', 'OneToOneVmRule', 'VAppScopedVmId')?.text()).toBe('db-local');
    expect(rulesIn('FirewallService')).toEqual(['DefaultAction', 'FirewallRule']);
    expect(features?.textAt('DhcpService', 'IsEnabled')).toBe('true');
    expect(networks[1]).toBe(PLAIN);
    expect(items).toEqual([
      expect.objectContaining({
        attribute: 'networks.front.config.Configuration.Features',
        conformity: 'missing',
        explanation: 'Rules of vApp network "front" for VM "web", which does not come back, are left out.',
      }),
    ]);
  });
  it('stay while the VMs are there, and nothing is said', () => {
    const { networks, items } = restored('web-local', 'db-local');
    expect([networks[0], items]).toEqual([NETWORK, []]);
  });
  it('of several VMs are one sentence', () => {
    expect(restored().items[0]?.explanation).toBe(
      'Rules of vApp network "front" for VMs "web", "db", which do not come back, are left out.',
    );
  });
});
