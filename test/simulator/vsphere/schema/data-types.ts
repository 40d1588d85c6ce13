/**
 * Data objects other than devices and faults. Names, order and cardinality of the public vSphere Web Services API (8.0.3), as pyVmomi (Apache-2.0) lists them; element
 * order on the wire is this order, inherited fields first.
 *
 * One type a line: `Name<Parent field:type …`. `?` may be absent, `[]` repeats, `&T` is a reference to a managed object.
 */
export const DATA_TYPES = `
AboutInfo name:string fullName:string vendor:string version:string patchLevel:string? build:string localeVersion:string? localeBuild:string? osType:string productLineId:string apiType:string apiVersion:string instanceUuid:string? licenseProductName:string? licenseProductVersion:string?
AlarmState key:string entity:&ManagedEntity alarm:&Alarm overallStatus:ManagedEntityStatus time:dateTime acknowledged:boolean? acknowledgedByUser:string? acknowledgedTime:dateTime? eventKey:int? disabled:boolean?
ArrayUpdateSpec operation:ArrayUpdateOperation removeKey:any?
BaseConfigInfo id:ID name:string createTime:dateTime keepAfterDeleteVm:boolean? relocationDisabled:boolean? nativeSnapshotSupported:boolean? changedBlockTrackingEnabled:boolean? backing:BaseConfigInfoBackingInfo metadata:KeyValue[]? vclock:VslmVClockInfo? iofilter:string[]?
BaseConfigInfoBackingInfo datastore:&Datastore
BaseConfigInfoDiskFileBackingInfo<BaseConfigInfoFileBackingInfo provisioningType:string
BaseConfigInfoFileBackingInfo<BaseConfigInfoBackingInfo filePath:string backingObjectId:string? parent:BaseConfigInfoFileBackingInfo? deltaSizeInMB:long? keyId:CryptoKeyId?
ChoiceOption<OptionType choiceInfo:ElementDescription[] defaultIndex:int?
ComputeResourceSummary totalCpu:int totalMemory:long numCpuCores:short numCpuThreads:short effectiveCpu:int effectiveMemory:long numHosts:int numEffectiveHosts:int overallStatus:ManagedEntityStatus
ArrayOfHostDatastoreBrowserSearchResults HostDatastoreBrowserSearchResults:HostDatastoreBrowserSearchResults[]?
CryptoKeyId keyId:string providerId:KeyProviderId?
AuthorizationPrivilege privId:string onParent:boolean name:string privGroupName:string
AuthorizationRole roleId:int system:boolean name:string info:Description privilege:string[]?
CryptoKeyResult keyId:CryptoKeyId success:boolean reason:string? fault:MethodFault?
CryptoManagerKmipCryptoKeyStatus keyId:CryptoKeyId keyAvailable:boolean? reason:string? encryptedVMs:&VirtualMachine[]? affectedHosts:&HostSystem[]? referencedByTags:string[]?
CryptoSpec
CryptoSpecDecrypt<CryptoSpec
CryptoSpecDeepRecrypt<CryptoSpec newKeyId:CryptoKeyId
CryptoSpecEncrypt<CryptoSpec cryptoKeyId:CryptoKeyId
CryptoSpecNoOp<CryptoSpec
CryptoSpecRegister<CryptoSpecNoOp cryptoKeyId:CryptoKeyId
CryptoSpecShallowRecrypt<CryptoSpec newKeyId:CryptoKeyId
CustomFieldValue key:int
DVPortgroupConfigInfo key:string name:string numPorts:int distributedVirtualSwitch:&DistributedVirtualSwitch? defaultPortConfig:DVPortSetting? description:string? type:string backingType:string? policy:DVPortgroupPolicy portNameFormat:string? scope:&ManagedEntity[]? vendorSpecificConfig:DistributedVirtualSwitchKeyedOpaqueBlob[]? configVersion:string? autoExpand:boolean? vmVnicNetworkResourcePoolKey:string? uplink:boolean?
DVPortgroupPolicy blockOverrideAllowed:boolean shapingOverrideAllowed:boolean vendorConfigOverrideAllowed:boolean livePortMovingAllowed:boolean portConfigResetAtDisconnect:boolean networkResourcePoolOverrideAllowed:boolean? trafficFilterOverrideAllowed:boolean?
DatastoreCapability directoryHierarchySupported:boolean rawDiskMappingsSupported:boolean perFileThinProvisioningSupported:boolean storageIORMSupported:boolean nativeSnapshotSupported:boolean topLevelDirectoryCreateSupported:boolean? seSparseSupported:boolean? vmfsSparseSupported:boolean? vsanSparseSupported:boolean? upitSupported:boolean? vmdkExpandSupported:boolean? clusteredVmdkSupported:boolean?
DatastoreHostMount key:&HostSystem mountInfo:HostMountInfo
DatastoreInfo name:string url:string freeSpace:long maxFileSize:long maxVirtualDiskCapacity:long? maxMemoryFileSize:long timestamp:dateTime? containerId:string? aliasOf:string?
DatastoreSummary datastore:&Datastore? name:string url:string capacity:long freeSpace:long uncommitted:long? accessible:boolean multipleHostAccess:boolean? type:string maintenanceMode:string?
Description label:string summary:string
DeviceGroupId id:string
DiskChangeExtent start:long length:long
DiskChangeInfo startOffset:long length:long changedArea:DiskChangeExtent[]?
DistributedVirtualSwitchPortConnection switchUuid:string portgroupKey:string? portKey:string? connectionCookie:int?
DynamicProperty name:string val:any
ElementDescription<Description key:string
EntityPrivilege entity:&ManagedEntity privAvailability:PrivilegeAvailability[]
FaultDomainId id:string
FaultToleranceConfigInfo role:int instanceUuids:string[] configPaths:string[] orphaned:boolean?
FileInfo path:string friendlyName:string? fileSize:long? modification:dateTime? owner:string?
FileQuery
FileQueryFlags fileType:boolean fileSize:boolean modification:boolean fileOwner:boolean
FloppyImageFileInfo<FileInfo
FloppyImageFileQuery<FileQuery
FolderFileInfo<FileInfo
FolderFileQuery<FileQuery
GuestDiskInfo diskPath:string? capacity:long? freeSpace:long? filesystemType:string? mappings:GuestInfoVirtualDiskMapping[]?
GuestInfo toolsStatus:VirtualMachineToolsStatus? toolsVersionStatus:string? toolsVersionStatus2:string? toolsRunningStatus:string? toolsVersion:string? toolsInstallType:string? guestId:string? guestFamily:string? guestFullName:string? guestDetailedData:string? hostName:string? ipAddress:string? net:GuestNicInfo[]? ipStack:GuestStackInfo[]? disk:GuestDiskInfo[]? screen:GuestScreenInfo? guestState:string appHeartbeatStatus:string? guestKernelCrashed:boolean? appState:string? guestOperationsReady:boolean? interactiveGuestOperationsReady:boolean? guestStateChangeSupported:boolean? generationInfo:GuestInfoNamespaceGenerationInfo[]? hwVersion:string? customizationInfo:GuestInfoCustomizationInfo?
GuestInfoCustomizationInfo customizationStatus:string startTime:dateTime? endTime:dateTime? errorMsg:string?
GuestInfoNamespaceGenerationInfo key:string generationNo:int
GuestInfoVirtualDiskMapping key:int
GuestNicInfo network:string? ipAddress:string[]? macAddress:string? connected:boolean deviceConfigId:int dnsConfig:NetDnsConfigInfo? ipConfig:NetIpConfigInfo? netBIOSConfig:NetBIOSConfigInfo?
GuestScreenInfo width:int height:int
GuestStackInfo dnsConfig:NetDnsConfigInfo? ipRouteConfig:NetIpRouteConfigInfo? ipStackConfig:KeyValue[]? dhcpConfig:NetDhcpConfigInfo?
HostConfigSummary name:string port:int sslThumbprint:string? sslCertificate:string? product:AboutInfo? vmotionEnabled:boolean faultToleranceEnabled:boolean
HostCpuIdInfo level:int vendor:string? eax:string? ebx:string? ecx:string? edx:string?
HostDatastoreBrowserSearchResults datastore:&Datastore? folderPath:string? file:FileInfo[]?
HostDatastoreBrowserSearchSpec query:FileQuery[]? details:FileQueryFlags? searchCaseInsensitive:boolean? matchPattern:string[]? sortFoldersFirst:boolean?
HostFeatureMask key:string featureName:string value:string
HostFileSystemVolume type:string name:string capacity:long
HostForceMountedInfo persist:boolean mounted:boolean
HostHardwareSummary vendor:string model:string family:string? uuid:string otherIdentifyingInfo:HostSystemIdentificationInfo[]? memorySize:long cpuModel:string cpuMhz:int numCpuPkgs:short numCpuCores:short numCpuThreads:short numNics:int numHBAs:int
HostListSummary host:&HostSystem? hardware:HostHardwareSummary? runtime:HostRuntimeInfo? config:HostConfigSummary quickStats:HostListSummaryQuickStats overallStatus:ManagedEntityStatus rebootRequired:boolean
HostListSummaryQuickStats overallCpuUsage:int? overallMemoryUsage:int?
HostMaintenanceSpec vsanMode:VsanHostDecommissionMode? purpose:string?
HostMountInfo path:string? accessMode:string mounted:boolean? accessible:boolean? inaccessibleReason:string? vmknicName:string? vmknicActive:boolean? mountFailedReason:string? numTcpConnections:int?
HostRuntimeInfo connectionState:HostSystemConnectionState powerState:HostSystemPowerState standbyMode:string? inMaintenanceMode:boolean inQuarantineMode:boolean? bootTime:dateTime?
HostScsiDiskPartition diskName:string partition:int
HostVmfsVolume<HostFileSystemVolume blockSizeMb:int blockSize:int? unmapGranularity:int? unmapPriority:string? unmapBandwidthSpec:VmfsUnmapBandwidthSpec? maxBlocks:int majorVersion:int version:string uuid:string extent:HostScsiDiskPartition[] vmfsUpgradable:boolean forceMountedInfo:HostForceMountedInfo? ssd:boolean? local:boolean? scsiDiskType:string?
ID id:string
IsoImageFileInfo<FileInfo
IsoImageFileQuery<FileQuery
KeyAnyValue key:string value:any
KeyProviderId id:string
KeyValue key:string value:string
KmipClusterInfo clusterId:KeyProviderId servers:KmipServerInfo[]? useAsDefault:boolean managementType:string? useAsEntityDefault:&ManagedEntity[]? hasBackup:boolean? tpmRequired:boolean? keyId:string?
KmipServerInfo name:string address:string port:int proxyAddress:string? proxyPort:int? reconnect:int? protocol:string? nbio:int? timeout:int? userName:string?
LatencySensitivity level:LatencySensitivitySensitivityLevel sensitivity:int?
LocalizableMessage key:string arg:KeyAnyValue[]? message:string?
ManagedByInfo extensionKey:string type:string
MissingObject obj:& fault:LocalizedMethodFault
MissingProperty path:string fault:LocalizedMethodFault
NetBIOSConfigInfo mode:string
NetDhcpConfigInfo ipv6:NetDhcpConfigInfoDhcpOptions? ipv4:NetDhcpConfigInfoDhcpOptions?
NetDhcpConfigInfoDhcpOptions enable:boolean config:KeyValue[]?
NetDnsConfigInfo dhcp:boolean hostName:string domainName:string ipAddress:string[]? searchDomain:string[]?
NetIpConfigInfo ipAddress:NetIpConfigInfoIpAddress[]? dhcp:NetDhcpConfigInfo? autoConfigurationEnabled:boolean?
NetIpConfigInfoIpAddress ipAddress:string prefixLength:int origin:string? state:string? lifetime:dateTime?
NetIpRouteConfigInfo ipRoute:NetIpRouteConfigInfoIpRoute[]?
NetIpRouteConfigInfoGateway ipAddress:string? device:string?
NetIpRouteConfigInfoIpRoute network:string prefixLength:int gateway:NetIpRouteConfigInfoGateway
NetworkSummary network:&Network? name:string accessible:boolean ipPoolName:string ipPoolId:int?
PbmAboutInfo name:string version:string instanceUuid:string
PbmCapabilityConstraintInstance propertyInstance:PbmCapabilityPropertyInstance[]
PbmCapabilityConstraints
PbmCapabilityInstance id:PbmCapabilityMetadataUniqueId constraint:PbmCapabilityConstraintInstance[]
PbmCapabilityMetadataUniqueId namespace:string id:string
PbmCapabilityProfile<PbmProfile profileCategory:string resourceType:PbmProfileResourceType constraints:PbmCapabilityConstraints generationId:long? isDefault:boolean systemCreatedProfileType:string? lineOfService:string?
PbmCapabilityPropertyInstance id:string operator:string? value:any
PbmCapabilitySubProfile name:string capability:PbmCapabilityInstance[] forceProvision:boolean?
PbmCapabilitySubProfileConstraints<PbmCapabilityConstraints subProfiles:PbmCapabilitySubProfile[]
PbmPlacementHub hubType:string hubId:string
PbmProfile profileId:PbmProfileId name:string description:string? creationTime:dateTime createdBy:string lastUpdatedTime:dateTime lastUpdatedBy:string
PbmProfileId uniqueId:string
PbmProfileResourceType resourceType:PbmProfileResourceTypeEnum
PbmQueryProfileResult object:PbmServerObjectRef profileId:PbmProfileId[]? fault:MethodFault?
PbmServerObjectRef objectType:PbmObjectType key:string serverUuid:string?
PbmServiceInstanceContent aboutInfo:PbmAboutInfo sessionManager:&PbmSessionManager capabilityMetadataManager:&PbmCapabilityMetadataManager profileManager:&PbmProfileProfileManager complianceManager:&PbmComplianceManager placementSolver:&PbmPlacementSolver replicationManager:&PbmReplicationManager?
Permission entity:&ManagedEntity? principal:string group:boolean roleId:int propagate:boolean
PrivilegeAvailability privId:string isGranted:boolean
UserPrivilegeResult entity:&ManagedEntity privileges:string[]?
NoPermissionEntityPrivileges entity:& privilegeIds:string[]?
ObjectContent obj:& propSet:DynamicProperty[]? missingSet:MissingProperty[]?
ObjectSpec obj:& skip:boolean? selectSet:SelectionSpec[]?
ObjectUpdate kind:ObjectUpdateKind obj:& changeSet:PropertyChange[]? missingSet:MissingProperty[]?
OptionType valueIsReadonly:boolean?
OptionValue key:string value:any?
ParaVirtualSCSIController<VirtualSCSIController
PropertyChange name:string op:PropertyChangeOp val:any?
PropertyFilterSpec propSet:PropertySpec[] objectSet:ObjectSpec[] reportMissingObjectsInResults:boolean?
PropertyFilterUpdate filter:&PropertyFilter objectSet:ObjectUpdate[]? missingSet:MissingObject[]?
PropertySpec type:string all:boolean? pathSet:string[]?
ReplicationConfigSpec generation:long vmReplicationId:string destination:string port:int rpo:long quiesceGuestEnabled:boolean paused:boolean oppUpdatesEnabled:boolean netCompressionEnabled:boolean? netEncryptionEnabled:boolean? encryptionDestination:string? encryptionPort:int? remoteCertificateThumbprint:string? dataSetsReplicationEnabled:boolean? disk:ReplicationInfoDiskSettings[]?
ReplicationGroupId faultDomainId:FaultDomainId deviceGroupId:DeviceGroupId
ReplicationInfoDiskSettings key:int diskReplicationId:string
ReplicationSpec replicationGroupId:ReplicationGroupId
ResourceAllocationInfo reservation:long? expandableReservation:boolean? limit:long? shares:SharesInfo? overheadLimit:long?
ResourceConfigSpec entity:&ManagedEntity? changeVersion:string? lastModified:dateTime? cpuAllocation:ResourceAllocationInfo memoryAllocation:ResourceAllocationInfo scaleDescendantsShares:string?
ResourcePoolResourceUsage reservationUsed:long reservationUsedForVm:long unreservedForPool:long unreservedForVm:long overallUsage:long maxUsage:long
ResourcePoolRuntimeInfo memory:ResourcePoolResourceUsage cpu:ResourcePoolResourceUsage overallStatus:ManagedEntityStatus sharesScalable:string?
ResourcePoolSummary name:string config:ResourceConfigSpec runtime:ResourcePoolRuntimeInfo
RetrieveOptions maxObjects:int?
RetrieveVStorageObjSpec id:ID datastore:&Datastore
RetrieveResult token:string? objects:ObjectContent[]
ScheduledHardwareUpgradeInfo upgradePolicy:string? versionKey:string? scheduledHardwareUpgradeStatus:string? fault:LocalizedMethodFault?
SelectionSpec name:string?
ServiceContent rootFolder:&Folder propertyCollector:&PropertyCollector viewManager:&ViewManager? about:AboutInfo setting:&OptionManager? userDirectory:&UserDirectory? sessionManager:&SessionManager? authorizationManager:&AuthorizationManager? serviceManager:&ServiceManager? perfManager:&PerformanceManager? scheduledTaskManager:&ScheduledTaskManager? alarmManager:&AlarmManager? eventManager:&EventManager? taskManager:&TaskManager? extensionManager:&ExtensionManager? customizationSpecManager:&CustomizationSpecManager? guestCustomizationManager:&VirtualMachineGuestCustomizationManager? customFieldsManager:&CustomFieldsManager? accountManager:&HostLocalAccountManager? diagnosticManager:&DiagnosticManager? licenseManager:&LicenseManager? searchIndex:&SearchIndex? fileManager:&FileManager? datastoreNamespaceManager:&DatastoreNamespaceManager? virtualDiskManager:&VirtualDiskManager? virtualizationManager:&VirtualizationManager? snmpSystem:&HostSnmpSystem? vmProvisioningChecker:&VirtualMachineProvisioningChecker? vmCompatibilityChecker:&VirtualMachineCompatibilityChecker? ovfManager:&OvfManager? ipPoolManager:&IpPoolManager? dvSwitchManager:&DistributedVirtualSwitchManager? hostProfileManager:&HostProfileManager? clusterProfileManager:&ClusterProfileManager? complianceManager:&ProfileComplianceManager? localizationManager:&LocalizationManager? storageResourceManager:&StorageResourceManager? guestOperationsManager:&GuestOperationsManager? overheadMemoryManager:&OverheadMemoryManager? certificateManager:&CertificateManager? ioFilterManager:&IoFilterManager? vStorageObjectManager:&VStorageObjectManagerBase? hostSpecManager:&HostSpecificationManager? cryptoManager:&CryptoManager? healthUpdateManager:&HealthUpdateManager? failoverClusterConfigurator:&FailoverClusterConfigurator? failoverClusterManager:&FailoverClusterManager? tenantManager:&TenantTenantManager? siteInfoManager:&SiteInfoManager? storageQueryManager:&StorageQueryManager?
SessionManagerGenericServiceTicket id:string hostName:string? sslThumbprint:string? certThumbprintList:VirtualMachineCertThumbprint[]? ticketType:string?
SessionManagerServiceRequestSpec
SharesInfo shares:int level:SharesLevel
SnapshotSelectionSpec retentionDays:int?
StorageIOAllocationInfo limit:long? shares:SharesInfo? reservation:int?
TaskDescription methodInfo:ElementDescription[] state:ElementDescription[] reason:TypeDescription[]
TaskInfo key:string task:&Task description:LocalizableMessage? name:string? descriptionId:string entity:&ManagedEntity? entityName:string? locked:&ManagedEntity[]? state:TaskInfoState cancelled:boolean cancelable:boolean error:LocalizedMethodFault? result:any? progress:int? progressDetails:KeyAnyValue[]? reason:TaskReason queueTime:dateTime startTime:dateTime? completeTime:dateTime? eventChainId:int changeTag:string? parentTaskKey:string? rootTaskKey:string? activationId:string?
TaskReason
TaskReasonUser<TaskReason userName:string
TemplateConfigFileInfo<VmConfigFileInfo
TemplateConfigFileQuery<VmConfigFileQuery
ToolsConfigInfo toolsVersion:int? toolsInstallType:string? afterPowerOn:boolean? afterResume:boolean? beforeGuestStandby:boolean? beforeGuestShutdown:boolean? beforeGuestReboot:boolean? toolsUpgradePolicy:string? pendingCustomization:string? customizationKeyId:CryptoKeyId? syncTimeWithHostAllowed:boolean? syncTimeWithHost:boolean? lastInstallInfo:ToolsConfigInfoToolsLastInstallInfo?
ToolsConfigInfoToolsLastInstallInfo counter:int fault:LocalizedMethodFault?
TraversalSpec<SelectionSpec type:string path:string skip:boolean? selectSet:SelectionSpec[]?
TypeDescription<Description key:string
UpdateSet version:string filterSet:PropertyFilterUpdate[]? truncated:boolean?
UserSession key:string userName:string fullName:string loginTime:dateTime lastActiveTime:dateTime locale:string messageLocale:string extensionSession:boolean ipAddress:string userAgent:string callCount:long
VAppIPAssignmentInfo supportedAllocationScheme:string[]? ipAllocationPolicy:string? supportedIpProtocol:string[]? ipProtocol:string?
VAppOvfSectionInfo key:int? namespace:string? type:string? atEnvelopeLevel:boolean? contents:string?
VAppOvfSectionSpec<ArrayUpdateSpec info:VAppOvfSectionInfo?
VAppProductInfo key:int classId:string? instanceId:string? name:string? vendor:string? version:string? fullVersion:string? vendorUrl:string? productUrl:string? appUrl:string?
VAppProductSpec<ArrayUpdateSpec info:VAppProductInfo?
VAppPropertyInfo key:int classId:string? instanceId:string? id:string? category:string? label:string? type:string? typeReference:string? userConfigurable:boolean? defaultValue:string? value:string? description:string?
VAppPropertySpec<ArrayUpdateSpec info:VAppPropertyInfo?
VStorageObject config:VStorageObjectConfigInfo
VStorageObjectAssociations id:ID vmDiskAssociations:VStorageObjectAssociationsVmDiskAssociations[]? fault:LocalizedMethodFault?
VStorageObjectAssociationsVmDiskAssociations vmId:string diskKey:int
VStorageObjectConfigInfo<BaseConfigInfo descriptorVersion:int? capacityInMB:long consumptionType:string[]? consumerId:ID[]?
VStorageObjectSnapshotDetails path:string? changedBlockTrackingId:string?
VStorageObjectSnapshotInfo snapshots:VStorageObjectSnapshotInfoVStorageObjectSnapshot[]?
VStorageObjectSnapshotInfoVStorageObjectSnapshot id:ID? backingObjectId:string? createTime:dateTime description:string
VStorageObjectStateInfo tentative:boolean?
VirtualMachineAffinityInfo affinitySet:int[]?
VirtualMachineBaseIndependentFilterSpec
VirtualMachineBootOptions bootDelay:long? enterBIOSSetup:boolean? efiSecureBootEnabled:boolean? bootRetryEnabled:boolean? bootRetryDelay:long? bootOrder:VirtualMachineBootOptionsBootableDevice[]? networkBootProtocol:string?
VirtualMachineBootOptionsBootableDevice
VirtualMachineCapability snapshotOperationsSupported:boolean multipleSnapshotsSupported:boolean snapshotConfigSupported:boolean poweredOffSnapshotsSupported:boolean memorySnapshotsSupported:boolean revertToSnapshotSupported:boolean quiescedSnapshotsSupported:boolean disableSnapshotsSupported:boolean lockSnapshotsSupported:boolean consolePreferencesSupported:boolean cpuFeatureMaskSupported:boolean s1AcpiManagementSupported:boolean settingScreenResolutionSupported:boolean toolsAutoUpdateSupported:boolean vmNpivWwnSupported:boolean npivWwnOnNonRdmVmSupported:boolean vmNpivWwnDisableSupported:boolean vmNpivWwnUpdateSupported:boolean swapPlacementSupported:boolean toolsSyncTimeSupported:boolean virtualMmuUsageSupported:boolean diskSharesSupported:boolean bootOptionsSupported:boolean bootRetryOptionsSupported:boolean settingVideoRamSizeSupported:boolean settingDisplayTopologySupported:boolean recordReplaySupported:boolean changeTrackingSupported:boolean multipleCoresPerSocketSupported:boolean hostBasedReplicationSupported:boolean guestAutoLockSupported:boolean memoryReservationLockSupported:boolean featureRequirementSupported:boolean poweredOnMonitorTypeChangeSupported:boolean seSparseDiskSupported:boolean nestedHVSupported:boolean vPMCSupported:boolean secureBootSupported:boolean? perVmEvcSupported:boolean? virtualMmuUsageIgnored:boolean? virtualExecUsageIgnored:boolean? diskOnlySnapshotOnSuspendedVMSupported:boolean? suspendToMemorySupported:boolean? toolsSyncTimeAllowSupported:boolean? sevSupported:boolean? pmemFailoverSupported:boolean? requireSgxAttestationSupported:boolean? changeModeDisksSupported:boolean? vendorDeviceGroupSupported:boolean?
VirtualMachineCertThumbprint thumbprint:string hashAlgorithm:string?
VirtualMachineConfigInfo changeVersion:string modified:dateTime name:string guestFullName:string version:string uuid:string createDate:dateTime? instanceUuid:string? npivNodeWorldWideName:long[]? npivPortWorldWideName:long[]? npivWorldWideNameType:string? npivDesiredNodeWwns:short? npivDesiredPortWwns:short? npivTemporaryDisabled:boolean? npivOnNonRdmDisks:boolean? locationId:string? template:boolean guestId:string alternateGuestName:string annotation:string? files:VirtualMachineFileInfo tools:ToolsConfigInfo? flags:VirtualMachineFlagInfo consolePreferences:VirtualMachineConsolePreferences? defaultPowerOps:VirtualMachineDefaultPowerOpInfo rebootPowerOff:boolean? hardware:VirtualHardware vcpuConfig:VirtualMachineVcpuConfig[]? cpuAllocation:ResourceAllocationInfo? memoryAllocation:ResourceAllocationInfo? latencySensitivity:LatencySensitivity? memoryHotAddEnabled:boolean? cpuHotAddEnabled:boolean? cpuHotRemoveEnabled:boolean? hotPlugMemoryLimit:long? hotPlugMemoryIncrementSize:long? cpuAffinity:VirtualMachineAffinityInfo? memoryAffinity:VirtualMachineAffinityInfo? networkShaper:VirtualMachineNetworkShaperInfo? extraConfig:OptionValue[]? cpuFeatureMask:HostCpuIdInfo[]? datastoreUrl:VirtualMachineConfigInfoDatastoreUrlPair[]? swapPlacement:string? bootOptions:VirtualMachineBootOptions? ftInfo:FaultToleranceConfigInfo? repConfig:ReplicationConfigSpec? vAppConfig:VmConfigInfo? vAssertsEnabled:boolean? changeTrackingEnabled:boolean? firmware:string? maxMksConnections:int? guestAutoLockEnabled:boolean? managedBy:ManagedByInfo? memoryReservationLockedToMax:boolean? initialOverhead:VirtualMachineConfigInfoOverheadInfo? nestedHVEnabled:boolean? vPMCEnabled:boolean? scheduledHardwareUpgradeInfo:ScheduledHardwareUpgradeInfo? forkConfigInfo:VirtualMachineForkConfigInfo? vFlashCacheReservation:long? vmxConfigChecksum:base64? messageBusTunnelEnabled:boolean? vmStorageObjectId:string? swapStorageObjectId:string? keyId:CryptoKeyId? guestIntegrityInfo:VirtualMachineGuestIntegrityInfo? migrateEncryption:string? sgxInfo:VirtualMachineSgxInfo? contentLibItemInfo:VirtualMachineContentLibraryItemInfo? ftEncryptionMode:string? guestMonitoringModeInfo:VirtualMachineGuestMonitoringModeInfo? sevEnabled:boolean? numaInfo:VirtualMachineVirtualNumaInfo? pmemFailoverEnabled:boolean? vmxStatsCollectionEnabled:boolean? vmOpNotificationToAppEnabled:boolean? vmOpNotificationTimeout:long? deviceSwap:VirtualMachineVirtualDeviceSwap? pmem:VirtualMachineVirtualPMem? deviceGroups:VirtualMachineVirtualDeviceGroups? fixedPassthruHotPlugEnabled:boolean? metroFtEnabled:boolean? metroFtHostGroup:string?
VirtualMachineConfigInfoDatastoreUrlPair name:string url:string
VirtualMachineConfigInfoOverheadInfo initialMemoryReservation:long? initialSwapReservation:long?
VirtualMachineConfigOptionDescriptor key:string description:string? host:&HostSystem[]? createSupported:boolean? defaultConfigOption:boolean? runSupported:boolean? upgradeSupported:boolean?
VirtualMachineConfigSpec changeVersion:string? name:string? version:string? createDate:dateTime? uuid:string? instanceUuid:string? npivNodeWorldWideName:long[]? npivPortWorldWideName:long[]? npivWorldWideNameType:string? npivDesiredNodeWwns:short? npivDesiredPortWwns:short? npivTemporaryDisabled:boolean? npivOnNonRdmDisks:boolean? npivWorldWideNameOp:string? locationId:string? guestId:string? alternateGuestName:string? annotation:string? files:VirtualMachineFileInfo? tools:ToolsConfigInfo? flags:VirtualMachineFlagInfo? consolePreferences:VirtualMachineConsolePreferences? powerOpInfo:VirtualMachineDefaultPowerOpInfo? rebootPowerOff:boolean? numCPUs:int? vcpuConfig:VirtualMachineVcpuConfig[]? numCoresPerSocket:int? memoryMB:long? memoryHotAddEnabled:boolean? cpuHotAddEnabled:boolean? cpuHotRemoveEnabled:boolean? virtualICH7MPresent:boolean? virtualSMCPresent:boolean? deviceChange:VirtualDeviceConfigSpec[]? cpuAllocation:ResourceAllocationInfo? memoryAllocation:ResourceAllocationInfo? latencySensitivity:LatencySensitivity? cpuAffinity:VirtualMachineAffinityInfo? memoryAffinity:VirtualMachineAffinityInfo? networkShaper:VirtualMachineNetworkShaperInfo? cpuFeatureMask:VirtualMachineCpuIdInfoSpec[]? extraConfig:OptionValue[]? swapPlacement:string? bootOptions:VirtualMachineBootOptions? vAppConfig:VmConfigSpec? ftInfo:FaultToleranceConfigInfo? repConfig:ReplicationConfigSpec? vAppConfigRemoved:boolean? vAssertsEnabled:boolean? changeTrackingEnabled:boolean? firmware:string? maxMksConnections:int? guestAutoLockEnabled:boolean? managedBy:ManagedByInfo? memoryReservationLockedToMax:boolean? nestedHVEnabled:boolean? vPMCEnabled:boolean? scheduledHardwareUpgradeInfo:ScheduledHardwareUpgradeInfo? vmProfile:VirtualMachineProfileSpec[]? messageBusTunnelEnabled:boolean? crypto:CryptoSpec? migrateEncryption:string? sgxInfo:VirtualMachineSgxInfo? ftEncryptionMode:string? guestMonitoringModeInfo:VirtualMachineGuestMonitoringModeInfo? sevEnabled:boolean? virtualNuma:VirtualMachineVirtualNuma? motherboardLayout:string? pmemFailoverEnabled:boolean? vmxStatsCollectionEnabled:boolean? vmOpNotificationToAppEnabled:boolean? vmOpNotificationTimeout:long? deviceSwap:VirtualMachineVirtualDeviceSwap? simultaneousThreads:int? pmem:VirtualMachineVirtualPMem? deviceGroups:VirtualMachineVirtualDeviceGroups? fixedPassthruHotPlugEnabled:boolean? metroFtEnabled:boolean? metroFtHostGroup:string?
VirtualMachineConfigSummary name:string template:boolean vmPathName:string memorySizeMB:int? cpuReservation:int? memoryReservation:int? numCpu:int? numEthernetCards:int? numVirtualDisks:int? uuid:string? instanceUuid:string? guestId:string? guestFullName:string? annotation:string? product:VAppProductInfo? installBootRequired:boolean? ftInfo:FaultToleranceConfigInfo? managedBy:ManagedByInfo? tpmPresent:boolean? numVmiopBackings:int? hwVersion:string?
VirtualMachineConsolePreferences powerOnWhenOpened:boolean? enterFullScreenOnPowerOn:boolean? closeOnPowerOffOrSuspend:boolean?
VirtualMachineContentLibraryItemInfo contentLibraryItemUuid:string contentLibraryItemVersion:string?
VirtualMachineCpuIdInfoSpec<ArrayUpdateSpec info:HostCpuIdInfo?
VirtualMachineDefaultPowerOpInfo powerOffType:string? suspendType:string? resetType:string? defaultPowerOffType:string? defaultSuspendType:string? defaultResetType:string? standbyAction:string?
VirtualMachineDefinedProfileSpec<VirtualMachineProfileSpec profileId:string replicationSpec:ReplicationSpec? profileData:VirtualMachineProfileRawData? profileParams:KeyValue[]?
VirtualMachineDeviceRuntimeInfo runtimeState:VirtualMachineDeviceRuntimeInfoDeviceRuntimeState key:int
VirtualMachineDeviceRuntimeInfoDeviceRuntimeState
VirtualMachineFeatureRequirement key:string featureName:string value:string
VirtualMachineFileInfo vmPathName:string? snapshotDirectory:string? suspendDirectory:string? logDirectory:string? ftMetadataDirectory:string?
VirtualMachineFileLayoutEx file:VirtualMachineFileLayoutExFileInfo[]? disk:VirtualMachineFileLayoutExDiskLayout[]? snapshot:VirtualMachineFileLayoutExSnapshotLayout[]? timestamp:dateTime
VirtualMachineFileLayoutExDiskLayout key:int chain:VirtualMachineFileLayoutExDiskUnit[]?
VirtualMachineFileLayoutExDiskUnit fileKey:int[]
VirtualMachineFileLayoutExFileInfo key:int name:string type:string size:long uniqueSize:long? backingObjectId:string? accessible:boolean?
VirtualMachineFileLayoutExSnapshotLayout key:&VirtualMachineSnapshot dataKey:int memoryKey:int disk:VirtualMachineFileLayoutExDiskLayout[]?
VirtualMachineFlagInfo disableAcceleration:boolean? enableLogging:boolean? useToe:boolean? runWithDebugInfo:boolean? monitorType:string? htSharing:string? snapshotDisabled:boolean? snapshotLocked:boolean? diskUuidEnabled:boolean? virtualMmuUsage:string? virtualExecUsage:string? snapshotPowerOffBehavior:string? recordReplayEnabled:boolean? faultToleranceType:string? cbrcCacheEnabled:boolean? vvtdEnabled:boolean? vbsEnabled:boolean?
VirtualMachineForkConfigInfo parentEnabled:boolean? childForkGroupId:string? parentForkGroupId:string? childType:string?
VirtualMachineGuestIntegrityInfo enabled:boolean?
VirtualMachineGuestMonitoringModeInfo gmmFile:string? gmmAppliance:string?
VirtualMachineGuestQuiesceSpec timeout:int?
VirtualMachineGuestSummary guestId:string? guestFullName:string? toolsStatus:VirtualMachineToolsStatus? toolsVersionStatus:string? toolsVersionStatus2:string? toolsRunningStatus:string? hostName:string? ipAddress:string? hwVersion:string?
VirtualMachineMessage id:string argument:any[]? text:string?
VirtualMachineNetworkShaperInfo enabled:boolean? peakBps:long? averageBps:long? burstSize:long?
VirtualMachineProfileRawData extensionKey:string objectData:string?
VirtualMachineProfileSpec
VirtualMachineQuestionInfo id:string text:string choice:ChoiceOption message:VirtualMachineMessage[]?
VirtualMachineQuickStats overallCpuUsage:int? overallCpuDemand:int? overallCpuReadiness:int? guestMemoryUsage:int? hostMemoryUsage:int? guestHeartbeatStatus:ManagedEntityStatus distributedCpuEntitlement:int? distributedMemoryEntitlement:int? staticCpuEntitlement:int? staticMemoryEntitlement:int? grantedMemory:int? privateMemory:int? sharedMemory:int? swappedMemory:int? balloonedMemory:int? consumedOverheadMemory:int? ftLogBandwidth:int? ftSecondaryLatency:int? ftLatencyStatus:ManagedEntityStatus? compressedMemory:long? uptimeSeconds:int? ssdSwappedMemory:long? activeMemory:int? memoryTierStats:VirtualMachineQuickStatsMemoryTierStats[]?
VirtualMachineQuickStatsMemoryTierStats memoryTierType:string readBandwidth:long
VirtualMachineRelocateSpec service:ServiceLocator? folder:&Folder? datastore:&Datastore? diskMoveType:string? pool:&ResourcePool? host:&HostSystem? disk:VirtualMachineRelocateSpecDiskLocator[]? transform:VirtualMachineRelocateTransformation? deviceChange:VirtualDeviceConfigSpec[]? profile:VirtualMachineProfileSpec[]? cryptoSpec:CryptoSpec?
VirtualMachineRelocateSpecDiskLocator diskId:int datastore:&Datastore diskMoveType:string? diskBackingInfo:VirtualDeviceBackingInfo? profile:VirtualMachineProfileSpec[]? filterSpec:VirtualMachineBaseIndependentFilterSpec[]?
VirtualMachineRuntimeInfo device:VirtualMachineDeviceRuntimeInfo[]? host:&HostSystem? connectionState:VirtualMachineConnectionState powerState:VirtualMachinePowerState vmFailoverInProgress:boolean? faultToleranceState:VirtualMachineFaultToleranceState dasVmProtection:VirtualMachineRuntimeInfoDasProtectionState? toolsInstallerMounted:boolean suspendTime:dateTime? bootTime:dateTime? suspendInterval:long? question:VirtualMachineQuestionInfo? memoryOverhead:long? maxCpuUsage:int? maxMemoryUsage:int? numMksConnections:int recordReplayState:VirtualMachineRecordReplayState cleanPowerOff:boolean? needSecondaryReason:string? onlineStandby:boolean minRequiredEVCModeKey:string? consolidationNeeded:boolean offlineFeatureRequirement:VirtualMachineFeatureRequirement[]? featureRequirement:VirtualMachineFeatureRequirement[]? featureMask:HostFeatureMask[]? vFlashCacheAllocation:long? paused:boolean? snapshotInBackground:boolean? quiescedForkParent:boolean? instantCloneFrozen:boolean? cryptoState:string? suspendedToMemory:boolean? opNotificationTimeout:long? iommuActive:boolean?
VirtualMachineRuntimeInfoDasProtectionState dasProtected:boolean
VirtualMachineSgxInfo epcSize:long flcMode:string? lePubKeyHash:string? requireAttestation:boolean?
VirtualMachineSnapshotInfo currentSnapshot:&VirtualMachineSnapshot? rootSnapshotList:VirtualMachineSnapshotTree[]
VirtualMachineSnapshotTree snapshot:&VirtualMachineSnapshot vm:&VirtualMachine name:string description:string id:int createTime:dateTime state:VirtualMachinePowerState quiesced:boolean backupManifest:string? childSnapshotList:VirtualMachineSnapshotTree[]? replaySupported:boolean?
VirtualMachineStorageSummary committed:long uncommitted:long unshared:long timestamp:dateTime
VirtualMachineSummary vm:&VirtualMachine? runtime:VirtualMachineRuntimeInfo guest:VirtualMachineGuestSummary? config:VirtualMachineConfigSummary storage:VirtualMachineStorageSummary? quickStats:VirtualMachineQuickStats overallStatus:ManagedEntityStatus customValue:CustomFieldValue[]?
VirtualMachineVMCIDeviceFilterInfo filters:VirtualMachineVMCIDeviceFilterSpec[]?
VirtualMachineVMCIDeviceFilterSpec rank:long action:string protocol:string direction:string lowerDstPortBoundary:long? upperDstPortBoundary:long?
VirtualMachineVcpuConfig latencySensitivity:LatencySensitivity?
VirtualMachineVirtualDeviceGroups deviceGroup:VirtualMachineVirtualDeviceGroupsDeviceGroup[]?
VirtualMachineVirtualDeviceGroupsDeviceGroup groupInstanceKey:int deviceInfo:Description?
VirtualMachineVirtualDeviceSwap lsiToPvscsi:VirtualMachineVirtualDeviceSwapDeviceSwapInfo?
VirtualMachineVirtualDeviceSwapDeviceSwapInfo enabled:boolean? applicable:boolean? status:string?
VirtualMachineVirtualNuma coresPerNumaNode:int? exposeVnumaOnCpuHotadd:boolean?
VirtualMachineVirtualNumaInfo coresPerNumaNode:int? autoCoresPerNumaNode:boolean? vnumaOnCpuHotaddExposed:boolean?
VirtualMachineVirtualPMem snapshotMode:string?
VirtualMachineWindowsQuiesceSpec<VirtualMachineGuestQuiesceSpec vssBackupType:int? vssBootableSystemState:boolean? vssPartialFileSupport:boolean? vssBackupContext:string?
VmConfigFileEncryptionInfo keyId:CryptoKeyId?
VmConfigFileInfo<FileInfo configVersion:int? encryption:VmConfigFileEncryptionInfo?
VmConfigFileQuery<FileQuery filter:VmConfigFileQueryFilter? details:VmConfigFileQueryFlags?
VmConfigFileQueryFilter matchConfigVersion:int[]? encrypted:boolean?
VmConfigFileQueryFlags configVersion:boolean encryption:boolean?
VmConfigInfo product:VAppProductInfo[]? property:VAppPropertyInfo[]? ipAssignment:VAppIPAssignmentInfo eula:string[]? ovfSection:VAppOvfSectionInfo[]? ovfEnvironmentTransport:string[]? installBootRequired:boolean installBootStopDelay:int
VmConfigSpec product:VAppProductSpec[]? property:VAppPropertySpec[]? ipAssignment:VAppIPAssignmentInfo? eula:string[]? ovfSection:VAppOvfSectionSpec[]? ovfEnvironmentTransport:string[]? installBootRequired:boolean? installBootStopDelay:int?
VmDiskFileEncryptionInfo keyId:CryptoKeyId?
VmDiskFileInfo<FileInfo diskType:string? capacityKb:long? hardwareVersion:int? controllerType:string? diskExtents:string[]? thin:boolean? encryption:VmDiskFileEncryptionInfo?
VmDiskFileQuery<FileQuery filter:VmDiskFileQueryFilter? details:VmDiskFileQueryFlags?
VmDiskFileQueryFilter diskType:string[]? matchHardwareVersion:int[]? controllerType:string[]? thin:boolean? encrypted:boolean?
VmDiskFileQueryFlags diskType:boolean capacityKb:boolean hardwareVersion:boolean controllerType:boolean? diskExtents:boolean? thin:boolean? encryption:boolean?
VmLogFileInfo<FileInfo
VmLogFileQuery<FileQuery
VmNvramFileInfo<FileInfo
VmNvramFileQuery<FileQuery
VmSnapshotFileInfo<FileInfo
VmSnapshotFileQuery<FileQuery
VmfsDatastoreInfo<DatastoreInfo maxPhysicalRDMFileSize:long maxVirtualRDMFileSize:long vmfs:HostVmfsVolume?
VmfsUnmapBandwidthSpec policy:string fixedValue:long dynamicMin:long dynamicMax:long
VsanHostDecommissionMode objectAction:string
VslmCreateSpec name:string keepAfterDeleteVm:boolean? backingSpec:VslmCreateSpecBackingSpec capacityInMB:long profile:VirtualMachineProfileSpec[]? crypto:CryptoSpec? metadata:KeyValue[]?
VslmCreateSpecBackingSpec datastore:&Datastore path:string?
VslmCreateSpecDiskFileBackingSpec<VslmCreateSpecBackingSpec provisioningType:string?
VslmVClockInfo vClockTime:long
WaitOptions maxWaitSeconds:int? maxObjectUpdates:int?
`;
