/**
 * Content models of the vCloud types a client may send: order, namespace and cardinality as in the
 * official XSDs of API 37.1 (vcd-xsd), written one type a line.
 *
 * `Name:Type?` = element, type, cardinality (? 0..1, * any, + at least one, none exactly one).
 * Prefix `x/` = extension namespace, `o/` = OVF, none = vCloud. `~` = VCloudExtension*, `~~` = VCloudExtension* Link*.
 * `@name!` = required attribute (others are free: every vCloud type has anyAttribute).
 * `<Sections>` = any ovf:Section substitute; `<any>` = elements of other namespaces.
 */
export const COMPLEX_TYPES: Readonly<Record<string, string>> = {
  Reference: '@href! ~',
  VCloudExtension: '<any>',
  Link: '@href! @rel! ~',
  ImportVmAsVAppParams:
    '~ Description:string? VAppParent:Reference? InstantiationParams:InstantiationParams? x/VmName:string? x/VAppScopedLocalId:string? x/ComputerName:string? x/VmMoRef:string x/VdcStorageProfile:Reference? x/Vdc:Reference x/ImportedDisk:ImportedDisk*',
  ImportVmIntoExistingVAppParams:
    '~ x/VmName:string x/VmDescription:string? x/VAppScopedLocalId:string? x/ComputerName:string? x/VmMoRef:string x/VdcStorageProfile:Reference? x/VApp:Reference x/ImportedDisk:ImportedDisk*',
  ImportVmParams:
    '~ Description:string? x/VmName:string x/VAppScopedLocalId:string? x/ComputerName:string? x/VmMoRef:string x/VdcStorageProfile:Reference? x/Vdc:Reference x/ImportedDisk:ImportedDisk*',
  ImportVmAsVAppTemplateParams:
    '~ Description:string? x/VmName:string? x/VAppScopedLocalId:string? x/ComputerName:string? x/VmMoRef:string x/Vdc:Reference? x/VdcStorageProfile:Reference? x/Catalog:Reference?',
  ImportMediaParams:
    '~ Description:string? x/DatastoreMoRef:string x/SourcePath:string x/Vdc:Reference x/Catalog:Reference? x/VdcStorageProfile:Reference?',
  ImportedDisk: '~ x/VdcStorageProfile:Reference?',
  InstantiationParams: '~ <Sections>',
  Metadata: '~~ MetadataEntry:MetadataEntry*',
  MetadataEntry: '~~ Domain:MetadataDomain? Key:string Value:string? TypedValue:TypedValue?',
  MetadataValue: '~~ Domain:MetadataDomain? Value:string? TypedValue:TypedValue?',
  ControlAccessParams: '~ IsSharedToEveryone:boolean EveryoneAccessLevel:accessLevel? AccessSettings:AccessSettings?',
  AccessSettings: '~ AccessSetting:AccessSetting+',
  AccessSetting: '~ Subject:Reference? ExternalSubject:ExternalSubject? AccessLevel:accessLevel',
  ExternalSubject: '~ SubjectId:string IsUser:boolean IdpType:string',
  Owner: '~~ User:Reference',
  UndeployVAppParams: '~ UndeployPowerAction:undeployAction?',
  DeployVAppParams: '~',
  LeaseSettingsSection:
    'o/Info:text Link:Link* DeploymentLeaseInSeconds:int? StorageLeaseInSeconds:int? DeploymentLeaseExpiration:dateTime? StorageLeaseExpiration:dateTime? <any>',
  NetworkConfigSection: 'o/Info:text Link:Link* NetworkConfig:NetworkConfig* <any>',
  NetworkConfig: '@networkName! ~~ Description:string? Configuration:NetworkConfiguration IsDeployed:boolean?',
  NetworkConfiguration:
    '~ BackwardCompatibilityMode:boolean? IpScope:IpScope? IpScopes:IpScopes? ParentNetwork:Reference? FenceMode:fenceMode RetainNetInfoAcrossDeployments:boolean? Features:NetworkFeatures? SyslogServerSettings:SyslogServerSettings? RouterInfo:RouterInfo? AdvancedNetworkingEnabled:boolean? SubInterface:boolean? DistributedInterface:boolean? ServiceInterface:boolean? GuestVlanAllowed:boolean? Connected:boolean? DualStackNetwork:boolean?',
  IpScopes: '~ IpScope:IpScope*',
  IpScope:
    '~ IsInherited:boolean Gateway:ip? Netmask:ip? SubnetPrefixLength:int? Dns1:ip? Dns2:ip? DnsSuffix:string? IsEnabled:boolean? IpRanges:IpRanges? AllocatedIpAddresses:IpAddresses? SubAllocations:SubAllocations?',
  IpRanges: '~ IpRange:IpRange*',
  IpRange: '~ StartAddress:ip EndAddress:ip',
  IpAddresses: '~ IpAddress:ip*',
  SubAllocations: '~~ SubAllocation:SubAllocation*',
  SubAllocation: '~ EdgeGateway:Reference IpRanges:IpRanges',
  NetworkFeatures: '<Services>',
  SyslogServerSettings: 'SyslogServerIp1:ip? SyslogServerIp2:ip?',
  RouterInfo: 'ExternalIp:ip',
  DhcpService:
    '~ IsEnabled:boolean? DefaultLeaseTime:int? MaxLeaseTime:int? IpRange:IpRange? RouterIp:ip? SubMask:ip? PrimaryNameServer:string? SecondaryNameServer:string? DomainName:string?',
  FirewallService: '~ IsEnabled:boolean? DefaultAction:firewallPolicy? LogDefaultAction:boolean? FirewallRule:FirewallRule*',
  FirewallRule:
    '~ Id:string? IsEnabled:boolean? MatchOnTranslate:boolean? Description:string? Policy:firewallPolicy? Protocols:FirewallProtocols? IcmpSubType:string? Port:int? DestinationPortRange:string? DestinationIp:string? DestinationVm:VmSelection? SourcePort:int? SourcePortRange:string? SourceIp:string? SourceVm:VmSelection? Direction:string? EnableLogging:boolean?',
  FirewallProtocols: 'Tcp:boolean? Udp:boolean? Icmp:boolean? Any:boolean? Other:string?',
  VmSelection: '~ VAppScopedVmId:string VmNicId:int IpType:string',
  NatService: '~ IsEnabled:boolean? NatType:natType? Policy:natPolicy? NatRule:NatRule* ExternalIp:ip?',
  NatRule:
    '~ Description:string? RuleType:string? IsEnabled:boolean? Id:int? GatewayNatRule:GatewayNatRule? OneToOneBasicRule:OneToOneBasicRule? OneToOneVmRule:OneToOneVmRule? PortForwardingRule:PortForwardingRule? VmRule:VmRule?',
  GatewayNatRule:
    '~ Interface:Reference? OriginalIp:string? OriginalPort:string? TranslatedIp:string? TranslatedPort:string? Protocol:string? IcmpSubType:string?',
  OneToOneBasicRule: '~ MappingMode:mappingMode ExternalIpAddress:ip InternalIpAddress:ip',
  OneToOneVmRule: '~ MappingMode:mappingMode ExternalIpAddress:ip? VAppScopedVmId:string VmNicId:int',
  PortForwardingRule: '~ ExternalIpAddress:ip ExternalPort:int InternalIpAddress:ip InternalPort:int Protocol:natProtocol',
  VmRule: '~ ExternalIpAddress:ip? ExternalPort:int VAppScopedVmId:string VmNicId:int InternalPort:int Protocol:natProtocol',
  StaticRoutingService: '~ IsEnabled:boolean? StaticRoute:StaticRoute*',
  StaticRoute: '~ Name:string Network:string NextHopIp:ip Interface:string? GatewayInterface:Reference?',
  NetworkConnectionSection: 'o/Info:text PrimaryNetworkConnectionIndex:int? NetworkConnection:NetworkConnection* Link:Link* <any>',
  NetworkConnection:
    '@network! ~ NetworkConnectionIndex:int IpAddress:ipOrNone? IpType:string? SecondaryIpAddress:string? SecondaryIpType:string? ExternalIpAddress:ipOrNone? IsConnected:boolean MACAddress:mac? IpAddressAllocationMode:allocationMode? SecondaryIpAddressAllocationMode:allocationMode? NetworkAdapterType:adapterType?',
  GuestCustomizationSection:
    'o/Info:text Enabled:boolean? ChangeSid:boolean? VirtualMachineId:string? JoinDomainEnabled:boolean? UseOrgSettings:boolean? DomainName:string? DomainUserName:string? DomainUserPassword:string? MachineObjectOU:string? AdminPasswordEnabled:boolean? AdminPasswordAuto:boolean? AdminPassword:string? AdminAutoLogonEnabled:boolean? AdminAutoLogonCount:int? ResetPasswordRequired:boolean? CustomizationScript:string? ComputerName:string? Link:Link* <any>',
  VmCapabilities: '~~ MemoryHotAddEnabled:boolean? CpuHotAddEnabled:boolean?',
  BootOptions:
    '~~ BootDelay:int? EnterBIOSSetup:boolean? BootRetryEnabled:boolean? BootRetryDelay:int? EfiSecureBootEnabled:boolean? NetworkBootProtocol:string?',
  ComputePolicy: '~~ VmPlacementPolicy:Reference? VmPlacementPolicyFinal:boolean? VmSizingPolicy:Reference? VmSizingPolicyFinal:boolean?',
  ComputePolicyCompliance: '~~ LastComplianceCheckTime:dateTime PolicyName:string NonComplianceMessage:string+',
  ProductSectionList: '~~ o/ProductSection:o/ProductSection*',
  RasdItemsList: '~~ Item:o/Item*',
  VmSpecSection:
    'o/Info:text OsType:string? Firmware:string? NumCpus:int? NumCoresPerSocket:int? CpuResourceMhz:ComputeResource? MemoryResourceMb:ComputeResource? MediaSection:anything? DiskSection:DiskSection? HardwareVersion:text VmToolsVersion:string? ToolsGuestOsId:string? VirtualCpuType:string? TimeSyncWithHost:boolean?',
  ComputeResource: '~ Configured:int Reservation:int? Limit:int? SharesLevel:string? Shares:int?',
  DiskSection: '~ DiskSettings:DiskSettings*',
  DiskSettings:
    '~ DiskId:string? SizeMb:int UnitNumber:int BusNumber:int AdapterType:string ThinProvisioned:boolean Disk:Reference? StorageProfile:Reference? overrideVmDefault:boolean? iops:int? IopsAllocation:anything? VirtualQuantityUnit:string? VirtualQuantity:int? resizable:boolean? encrypted:boolean? shareable:boolean? sharingType:string?',
  RuntimeInfoSection: 'o/Info:text VMWareTools:text? <any>',
  SnapshotSection: 'o/Info:text Link:Link* Snapshot:anything? <any>',
  RecomposeVAppParams:
    '~ Description:string? VAppParent:Reference? InstantiationParams:InstantiationParams? SourcedItem:SourcedItem* CreateItem:Vm* AllEULAsAccepted:boolean? DeleteItem:Reference* ReconfigureItem:Vm*',
  SourcedItem:
    '~ Source:Reference VmGeneralParams:VmGeneralParams? VAppScopedLocalId:string? InstantiationParams:InstantiationParams? NetworkAssignment:anything* StorageProfile:Reference? VdcComputePolicy:Reference? ComputePolicy:ComputePolicy? LocalityParams:anything? VmCapabilities:VmCapabilities?',
  VmGeneralParams: '~ Name:string? Description:string? NeedsCustomization:boolean? RegenerateBiosUuid:boolean?',
  CaptureVAppParams:
    '~ Description:string? Source:Reference CaptureVmParams:CaptureVmParams* <Sections> VdcStorageProfile:Reference? TargetCatalogItem:Reference?',
  CaptureVmParams: '~ Description:string? Source:Reference VdcComputePolicy:Reference?',
  InstantiateVAppTemplateParams:
    '~ Description:string? VAppParent:Reference? InstantiationParams:InstantiationParams? Source:Reference IsSourceDelete:boolean? SourcedVmInstantiationParams:anything* SourcedItem:SourcedItem* AllEULAsAccepted:boolean?',
  CreateSnapshotParams: '~ Description:string?',
  CustomizationSection: 'o/Info:text CustomizeOnInstantiate:boolean Link:Link* <any>',
  DiskCreateParams: '~ Disk:Disk Locality:Reference?',
  Disk: '@name! ~~ Description:string? Tasks:anything? Files:anything? StorageProfile:Reference? Owner:Owner? IopsAllocation:anything?',
  DiskAttachOrDetachParams: '~ Disk:Reference BusNumber:int? UnitNumber:int?',
  CatalogItem: '@name! ~~ Description:string? Tasks:anything? Entity:Reference Property:anything* DateCreated:dateTime? VersionNumber:int?',
  Media: '@name! @imageType! @size! ~~ Description:string? Tasks:anything? Files:anything? Owner:Owner? VdcStorageProfile:Reference?',
  VAppTemplate:
    '@name! ~~ Description:string? Tasks:anything? Files:anything? Owner:Owner? Children:anything? <Sections> VAppScopedLocalId:string? DefaultStorageProfile:string? VdcComputePolicy:Reference? ComputePolicy:ComputePolicy? DateCreated:dateTime? BootOptions:BootOptions?',
  VmAffinityRule: '~~ Name:string? IsEnabled:boolean? IsMandatory:boolean? Polarity:polarity? Scope:affinityScope? VmReferences:Vms',
  Vms: '~~ VmReference:Reference*',
  VApp: '@name! ~~ Description:string? Tasks:anything? Files:anything? VAppParent:Reference? <Sections> DateCreated:dateTime? Owner:Owner? autoNature:boolean? InMaintenanceMode:boolean? Children:anything?',
  Vm: '@name! ~~ Description:string? Tasks:anything? Files:anything? VAppParent:Reference? <Sections> DateCreated:dateTime? VAppScopedLocalId:string? Environment:anything? VmCapabilities:VmCapabilities? StorageProfile:Reference? VdcComputePolicy:Reference? ComputePolicy:ComputePolicy? ComputePolicyCompliance:ComputePolicyCompliance* IsComputePolicyCompliant:boolean? BootOptions:BootOptions? Media:Reference? ReplicationTrackingSettings:anything?',
  // OVF 1.1 (DSP8023, DSP8027): sections carry Info first and end with anything of other namespaces.
  'o/StartupSection': 'o/Info:text o/Item:o/StartupItem* <any>',
  'o/StartupItem': '@ovf:id! @ovf:order!',
  'o/ProductSection':
    'o/Info:text o/Product:text? o/Vendor:text? o/Version:text? o/FullVersion:text? o/ProductUrl:text? o/VendorUrl:text? o/AppUrl:text? o/Icon:anything* <Properties>',
  'o/OperatingSystemSection': '@ovf:id! o/Info:text o/Description:text? <any>',
  'o/VirtualHardwareSection': 'o/Info:text o/System:anything? o/Item:o/Item* <any>',
  'o/NetworkSection': 'o/Info:text o/Network:anything* <any>',
  'o/Item': '<Rasd>',
};

/** RASD elements come in alphabetical order (CIM_ResourceAllocationSettingData); what follows is of other namespaces. */
export const RASD_ORDER =
  'Address AddressOnParent AllocationUnits AutomaticAllocation AutomaticDeallocation Caption ChangeableType ConfigurationName Connection ConsumerVisibility Description ElementName Generation HostResource InstanceID Limit MappingBehavior OtherResourceType Parent PoolID Reservation ResourceSubType ResourceType VirtualQuantity VirtualQuantityUnits Weight'.split(
    ' ',
  );

export const SECTION_ELEMENTS: ReadonlyMap<string, string> = new Map([
  ...[
    'LeaseSettingsSection',
    'NetworkConfigSection',
    'NetworkConnectionSection',
    'GuestCustomizationSection',
    'VmSpecSection',
    'RuntimeInfoSection',
    'SnapshotSection',
    'CustomizationSection',
  ].map((name): [string, string] => [name, name]),
  ...['StartupSection', 'ProductSection', 'OperatingSystemSection', 'VirtualHardwareSection', 'NetworkSection'].map(
    (name): [string, string] => [`o/${name}`, `o/${name}`],
  ),
]);

export const SERVICE_ELEMENTS: readonly string[] = ['DhcpService', 'FirewallService', 'NatService', 'StaticRoutingService'];

/** Values of types that the schema leaves as strings and VCD itself checks. */
export const ENUMERATIONS: Readonly<Record<string, readonly string[]>> = {
  fenceMode: ['bridged', 'isolated', 'natRouted'],
  accessLevel: ['ReadOnly', 'Change', 'FullControl'],
  undeployAction: ['powerOff', 'suspend', 'shutdown', 'force', 'default'],
  allocationMode: ['POOL', 'DHCP', 'MANUAL', 'NONE'],
  adapterType: ['VMXNET3', 'E1000', 'E1000E', 'VMXNET', 'VMXNET2', 'FLEXIBLE', 'PCNet32', 'SRIOVETHERNETCARD'],
  firewallPolicy: ['drop', 'allow'],
  natType: ['ipTranslation', 'portForwarding'],
  natPolicy: ['allowTrafficIn', 'allowTraffic'],
  natProtocol: ['TCP', 'UDP', 'TCP_UDP', 'Any', 'ICMP'],
  mappingMode: ['automatic', 'manual'],
  polarity: ['Affinity', 'Anti-Affinity'],
  affinityScope: ['Host'],
};
