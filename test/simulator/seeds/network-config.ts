import type { XmlElement } from '../../../src/common/index.js';
import { build, optional } from '../vcd/xml-names.js';
import type { VappNetworkSeed } from './schema.js';

type Range = { start: string; end: string };

/** The NetworkConfig element a client would send for this network. */
export function networkConfig(network: VappNetworkSeed, parentHref: string | undefined): XmlElement {
  const { scope } = network;
  return build(
    'NetworkConfig',
    { networkName: network.name },
    build('Description', {}, network.description),
    build(
      'Configuration',
      {},
      scope &&
        build(
          'IpScopes',
          {},
          build(
            'IpScope',
            {},
            build('IsInherited', {}, false),
            build('Gateway', {}, scope.gateway),
            build('Netmask', {}, scope.netmask),
            optional('Dns1', scope.dns1),
            optional('Dns2', scope.dns2),
            optional('DnsSuffix', scope.dnsSuffix),
            build('IsEnabled', {}, true),
            build(
              'IpRanges',
              {},
              scope.ranges.map((range) => ipRange(range)),
            ),
          ),
        ),
      parentHref === undefined ? undefined : build('ParentNetwork', { href: parentHref, name: network.parent }),
      build('FenceMode', {}, network.fenceMode),
      build('RetainNetInfoAcrossDeployments', {}, network.fenceMode === 'natRouted'),
      network.fenceMode === 'bridged' ? undefined : features(network),
    ),
  );
}

const ipRange = (range: Range): XmlElement =>
  build('IpRange', {}, build('StartAddress', {}, range.start), build('EndAddress', {}, range.end));

function features(network: VappNetworkSeed): XmlElement | undefined {
  const services = [dhcpService(network), firewallService(network), natService(network)].filter((service) => service !== undefined);
  return services.length === 0 ? undefined : build('Features', {}, services);
}

function dhcpService({ dhcp }: VappNetworkSeed): XmlElement | undefined {
  return (
    dhcp &&
    build(
      'DhcpService',
      {},
      build('IsEnabled', {}, true),
      build('DefaultLeaseTime', {}, dhcp.defaultLeaseSeconds),
      build('MaxLeaseTime', {}, dhcp.maxLeaseSeconds),
      ipRange(dhcp.range),
    )
  );
}

function firewallService({ firewall }: VappNetworkSeed): XmlElement | undefined {
  return (
    firewall &&
    build(
      'FirewallService',
      {},
      build('IsEnabled', {}, true),
      build('DefaultAction', {}, 'drop'),
      build('LogDefaultAction', {}, false),
      firewall.map((rule, index) =>
        build(
          'FirewallRule',
          {},
          build('Id', {}, index + 1),
          build('IsEnabled', {}, true),
          build('Description', {}, rule.description),
          build('Policy', {}, rule.policy),
          build('Protocols', {}, build(rule.protocol, {}, true)),
          build('DestinationPortRange', {}, rule.ports),
          build('DestinationIp', {}, rule.destination),
          build('SourcePortRange', {}, 'Any'),
          build('SourceIp', {}, rule.source),
          build('EnableLogging', {}, false),
        ),
      ),
    )
  );
}

function natService({ nat }: VappNetworkSeed): XmlElement | undefined {
  return (
    nat &&
    build(
      'NatService',
      {},
      build('IsEnabled', {}, true),
      build('NatType', {}, 'portForwarding'),
      build('Policy', {}, 'allowTrafficIn'),
      nat.map((rule, index) =>
        build(
          'NatRule',
          {},
          build('Id', {}, 65_537 + index),
          build(
            'VmRule',
            {},
            build('ExternalPort', {}, rule.externalPort),
            build('VAppScopedVmId', {}, rule.vm),
            build('VmNicId', {}, rule.nic),
            build('InternalPort', {}, rule.internalPort),
            build('Protocol', {}, rule.protocol),
          ),
        ),
      ),
    )
  );
}
