/**
 * Managed objects, their properties, their operations, and the closed sets of words.
 * Names, order and cardinality of the public vSphere Web Services API (8.0.3), as pyVmomi (Apache-2.0) lists them; element
 * order on the wire is this order, inherited fields first.
 */
export const MANAGED_TYPES = `
ServiceInstance serverClock:dateTime capability:Capability content:ServiceContent
SessionManager sessionList:UserSession[]? currentSession:UserSession? message:string? messageLocaleList:string[]? supportedLocaleList:string[]? defaultLocale:string
AuthorizationManager privilegeList:AuthorizationPrivilege[]? roleList:AuthorizationRole[]? description:AuthorizationDescription
ViewManager viewList:&View[]?
View
ManagedObjectView<View view:&[]?
ContainerView<ManagedObjectView container:&ManagedEntity type:string[]? recursive:boolean
ListView<ManagedObjectView
PropertyCollector filter:&PropertyFilter[]?
PropertyFilter spec:PropertyFilterSpec partialUpdates:boolean
SearchIndex
ManagedEntity<ExtensibleManagedObject parent:&ManagedEntity? customValue:CustomFieldValue[]? overallStatus:ManagedEntityStatus configStatus:ManagedEntityStatus configIssue:Event[]? effectiveRole:int[]? permission:Permission[]? name:string disabledMethod:string[]? recentTask:&Task[]? declaredAlarmState:AlarmState[]? triggeredAlarmState:AlarmState[]? alarmActionsEnabled:boolean? tag:Tag[]?
ExtensibleManagedObject value:CustomFieldValue[]? availableField:CustomFieldDef[]?
Folder<ManagedEntity childType:string[]? childEntity:&ManagedEntity[]? namespace:string?
Datacenter<ManagedEntity vmFolder:&Folder hostFolder:&Folder datastoreFolder:&Folder networkFolder:&Folder datastore:&Datastore[]? network:&Network[]? configuration:DatacenterConfigInfo
ComputeResource<ManagedEntity resourcePool:&ResourcePool? host:&HostSystem[]? datastore:&Datastore[]? network:&Network[]? summary:ComputeResourceSummary environmentBrowser:&EnvironmentBrowser? configurationEx:ComputeResourceConfigInfo lifecycleManaged:boolean? configManagerEnabled:boolean?
ClusterComputeResource<ComputeResource configuration:ClusterConfigInfo recommendation:ClusterRecommendation[]? drsRecommendation:ClusterDrsRecommendation[]? summaryEx:ClusterComputeResourceSummary hciConfig:ClusterComputeResourceHCIConfigInfo? migrationHistory:ClusterDrsMigration[]? actionHistory:ClusterActionHistory[]? drsFault:ClusterDrsFaults[]?
HostSystem<ManagedEntity runtime:HostRuntimeInfo summary:HostListSummary hardware:HostHardwareInfo? capability:HostCapability? licensableResource:HostLicensableResourceInfo remediationState:HostSystemRemediationState? precheckRemediationResult:ApplyHostProfileConfigurationSpec? remediationResult:ApplyHostProfileConfigurationResult? complianceCheckState:HostSystemComplianceCheckState? complianceCheckResult:ComplianceResult? configManager:HostConfigManager config:HostConfigInfo? vm:&VirtualMachine[]? datastore:&Datastore[]? network:&Network[]? datastoreBrowser:&HostDatastoreBrowser systemResources:HostSystemResourceInfo? answerFileValidationState:AnswerFileStatusResult? answerFileValidationResult:AnswerFileStatusResult?
ResourcePool<ManagedEntity summary:ResourcePoolSummary runtime:ResourcePoolRuntimeInfo owner:&ComputeResource resourcePool:&ResourcePool[]? vm:&VirtualMachine[]? config:ResourceConfigSpec namespace:string? childConfiguration:ResourceConfigSpec[]?
Datastore<ManagedEntity info:DatastoreInfo summary:DatastoreSummary host:DatastoreHostMount[]? vm:&VirtualMachine[]? browser:&HostDatastoreBrowser capability:DatastoreCapability iormConfiguration:StorageIORMInfo?
Network<ManagedEntity summary:NetworkSummary host:&HostSystem[]? vm:&VirtualMachine[]?
DistributedVirtualSwitch<ManagedEntity uuid:string capability:DVSCapability summary:DVSSummary config:DVSConfigInfo networkResourcePool:DVSNetworkResourcePool[]? portgroup:&DistributedVirtualPortgroup[]? runtime:DVSRuntimeInfo?
VmwareDistributedVirtualSwitch<DistributedVirtualSwitch
DistributedVirtualPortgroup<Network key:string config:DVPortgroupConfigInfo portKeys:string[]?
VirtualMachine<ManagedEntity capability:VirtualMachineCapability config:VirtualMachineConfigInfo? layout:VirtualMachineFileLayout? layoutEx:VirtualMachineFileLayoutEx? storage:VirtualMachineStorageInfo? environmentBrowser:&EnvironmentBrowser resourcePool:&ResourcePool? parentVApp:&ManagedEntity? resourceConfig:ResourceConfigSpec? runtime:VirtualMachineRuntimeInfo guest:GuestInfo? summary:VirtualMachineSummary datastore:&Datastore[]? network:&Network[]? snapshot:VirtualMachineSnapshotInfo? rootSnapshot:&VirtualMachineSnapshot[]? guestHeartbeatStatus:ManagedEntityStatus
VirtualMachineSnapshot<ExtensibleManagedObject config:VirtualMachineConfigInfo childSnapshot:&VirtualMachineSnapshot[]? vm:&VirtualMachine
Task<ExtensibleManagedObject info:TaskInfo
TaskManager recentTask:&Task[]? description:TaskDescription maxCollector:int
HostDatastoreBrowser datastore:&Datastore[]? supportedType:FileQuery[]?
CryptoManager enabled:boolean
CryptoManagerKmip<CryptoManager kmipServers:KmipClusterInfo[]?
VStorageObjectManagerBase
VcenterVStorageObjectManager<VStorageObjectManagerBase
FileManager
PbmServiceInstance content:PbmServiceInstanceContent
PbmProfileProfileManager
PbmPlacementSolver
VirtualDiskManager
EnvironmentBrowser datastoreBrowser:&HostDatastoreBrowser?
`;

/** `Type.Operation(parameter:type …):result`. Only these operations exist here; any other name is MethodNotFound. */
export const OPERATIONS = `
ServiceInstance.RetrieveServiceContent():ServiceContent
ServiceInstance.CurrentTime():dateTime
ManagedObject.Fetch(prop:string):any?
SessionManager.Login(userName:string password:string locale:string?):UserSession
SessionManager.Logout():void
SessionManager.SessionIsActive(sessionID:string userName:string):boolean
SessionManager.TerminateSession(sessionId:string[]):void
SessionManager.AcquireGenericServiceTicket(spec:SessionManagerServiceRequestSpec):SessionManagerGenericServiceTicket
AuthorizationManager.HasPrivilegeOnEntities(entity:&ManagedEntity[] sessionId:string privId:string[]?):EntityPrivilege[]?
AuthorizationManager.HasUserPrivilegeOnEntities(entities:&[] userName:string privId:string[]?):EntityPrivilege[]?
AuthorizationManager.FetchUserPrivilegeOnEntities(entities:&[] userName:string):UserPrivilegeResult[]?
ViewManager.CreateContainerView(container:&ManagedEntity type:string[]? recursive:boolean):&ContainerView
ViewManager.CreateListView(obj:&[]?):&ListView
ListView.ModifyListView(add:&[]? remove:&[]?):&[]?
ListView.ResetListView(obj:&[]?):&[]?
View.DestroyView():void
PropertyCollector.CreateFilter(spec:PropertyFilterSpec partialUpdates:boolean):&PropertyFilter
PropertyCollector.RetrieveProperties(specSet:PropertyFilterSpec[]):ObjectContent[]?
PropertyCollector.RetrievePropertiesEx(specSet:PropertyFilterSpec[] options:RetrieveOptions):RetrieveResult?
PropertyCollector.ContinueRetrievePropertiesEx(token:string):RetrieveResult
PropertyCollector.CancelRetrievePropertiesEx(token:string):void
PropertyCollector.WaitForUpdatesEx(version:string? options:WaitOptions?):UpdateSet?
PropertyCollector.CancelWaitForUpdates():void
PropertyCollector.CreatePropertyCollector():&PropertyCollector
PropertyCollector.DestroyPropertyCollector():void
PropertyFilter.DestroyPropertyFilter():void
SearchIndex.FindByUuid(datacenter:&Datacenter? uuid:string vmSearch:boolean instanceUuid:boolean?):&ManagedEntity?
SearchIndex.FindAllByUuid(datacenter:&Datacenter? uuid:string vmSearch:boolean instanceUuid:boolean?):&ManagedEntity[]
SearchIndex.FindByInventoryPath(inventoryPath:string):&ManagedEntity?
SearchIndex.FindChild(entity:&ManagedEntity name:string):&ManagedEntity?
VirtualMachine.CreateSnapshot_Task(name:string description:string? memory:boolean quiesce:boolean):&Task
VirtualMachine.CreateSnapshotEx_Task(name:string description:string? memory:boolean quiesceSpec:VirtualMachineGuestQuiesceSpec?):&Task
VirtualMachine.RemoveAllSnapshots_Task(consolidate:boolean? spec:SnapshotSelectionSpec?):&Task
VirtualMachine.ConsolidateVMDisks_Task():&Task
VirtualMachine.ReconfigVM_Task(spec:VirtualMachineConfigSpec):&Task
VirtualMachine.QueryChangedDiskAreas(snapshot:&VirtualMachineSnapshot? deviceKey:int startOffset:long changeId:string):DiskChangeInfo
VirtualMachine.UnregisterVM():void
VirtualMachine.PowerOnVM_Task(host:&HostSystem?):&Task
VirtualMachine.PowerOffVM_Task():&Task
VirtualMachine.SuspendVM_Task():&Task
VirtualMachine.RelocateVM_Task(spec:VirtualMachineRelocateSpec priority:VirtualMachineMovePriority?):&Task
VirtualMachine.MigrateVM_Task(pool:&ResourcePool? host:&HostSystem? priority:VirtualMachineMovePriority state:VirtualMachinePowerState?):&Task
HostSystem.EnterMaintenanceMode_Task(timeout:int evacuatePoweredOffVms:boolean? maintenanceSpec:HostMaintenanceSpec?):&Task
HostSystem.ExitMaintenanceMode_Task(timeout:int):&Task
VirtualMachineSnapshot.RevertToSnapshot_Task(host:&HostSystem? suppressPowerOn:boolean?):&Task
VirtualMachineSnapshot.RemoveSnapshot_Task(removeChildren:boolean consolidate:boolean?):&Task
Folder.CreateVM_Task(config:VirtualMachineConfigSpec pool:&ResourcePool host:&HostSystem?):&Task
Folder.RegisterVM_Task(path:string name:string? asTemplate:boolean pool:&ResourcePool? host:&HostSystem?):&Task
Folder.MoveIntoFolder_Task(list:&ManagedEntity[]):&Task
Folder.CreateFolder(name:string):&Folder
ResourcePool.CreateResourcePool(name:string spec:ResourceConfigSpec):&ResourcePool
ManagedEntity.Destroy_Task():&Task
ManagedEntity.Rename_Task(newName:string):&Task
Task.CancelTask():void
HostDatastoreBrowser.SearchDatastore_Task(datastorePath:string searchSpec:HostDatastoreBrowserSearchSpec?):&Task
HostDatastoreBrowser.SearchDatastoreSubFolders_Task(datastorePath:string searchSpec:HostDatastoreBrowserSearchSpec?):&Task
FileManager.DeleteDatastoreFile_Task(name:string datacenter:&Datacenter?):&Task
CryptoManagerKmip.ListKmipServers(limit:int?):KmipClusterInfo[]?
CryptoManagerKmip.GenerateKey(keyProvider:KeyProviderId?):CryptoKeyResult
CryptoManagerKmip.QueryCryptoKeyStatus(keyIds:CryptoKeyId[]? checkKeyBitMap:int):CryptoManagerKmipCryptoKeyStatus[]?
CryptoManager.ListKeys(limit:int?):CryptoKeyId[]?
PbmServiceInstance.PbmRetrieveServiceContent():PbmServiceInstanceContent
PbmProfileProfileManager.PbmFetchResourceType():PbmProfileResourceType[]?
PbmProfileProfileManager.PbmQueryProfile(resourceType:PbmProfileResourceType profileCategory:PbmProfileCategory?):PbmProfileId[]?
PbmProfileProfileManager.PbmRetrieveContent(profileIds:PbmProfileId[]):PbmProfile[]
PbmProfileProfileManager.PbmQueryAssociatedProfile(entity:PbmServerObjectRef):PbmProfileId[]?
PbmProfileProfileManager.PbmQueryAssociatedProfiles(entities:PbmServerObjectRef[]):PbmQueryProfileResult[]?
PbmProfileProfileManager.PbmQueryAssociatedEntity(profile:PbmProfileId entityType:PbmObjectType?):PbmServerObjectRef[]?
PbmPlacementSolver.PbmQueryMatchingHub(hubsToSearch:PbmPlacementHub[]? profile:PbmProfileId):PbmPlacementHub[]?
VcenterVStorageObjectManager.ListVStorageObject(datastore:&Datastore):ID[]?
VcenterVStorageObjectManager.RetrieveVStorageObject(id:ID datastore:&Datastore diskInfoFlags:string[]?):VStorageObject
VcenterVStorageObjectManager.RetrieveVStorageObjectState(id:ID datastore:&Datastore):VStorageObjectStateInfo
VcenterVStorageObjectManager.CreateDisk_Task(spec:VslmCreateSpec):&Task
VcenterVStorageObjectManager.DeleteVStorageObject_Task(id:ID datastore:&Datastore):&Task
VcenterVStorageObjectManager.VStorageObjectCreateSnapshot_Task(id:ID datastore:&Datastore description:string):&Task
VcenterVStorageObjectManager.DeleteSnapshot_Task(id:ID datastore:&Datastore snapshotId:ID):&Task
VcenterVStorageObjectManager.RevertVStorageObject_Task(id:ID datastore:&Datastore snapshotId:ID):&Task
VcenterVStorageObjectManager.RenameVStorageObject(id:ID datastore:&Datastore name:string):void
VcenterVStorageObjectManager.SetVStorageObjectControlFlags(id:ID datastore:&Datastore controlFlags:string[]?):void
VcenterVStorageObjectManager.ClearVStorageObjectControlFlags(id:ID datastore:&Datastore controlFlags:string[]?):void
VcenterVStorageObjectManager.VCenterUpdateVStorageObjectMetadataEx_Task(id:ID datastore:&Datastore metadata:KeyValue[]? deleteKeys:string[]?):&Task
VcenterVStorageObjectManager.RetrieveVStorageObjectAssociations(ids:RetrieveVStorageObjSpec[]?):VStorageObjectAssociations[]?
VirtualMachine.AttachDisk_Task(diskId:ID datastore:&Datastore controllerKey:int? unitNumber:int? diskMode:string? sharing:string? profile:VirtualMachineProfileSpec[]? crypto:CryptoSpec?):&Task
VirtualMachine.DetachDisk_Task(diskId:ID):&Task
VcenterVStorageObjectManager.RetrieveSnapshotInfo(id:ID datastore:&Datastore):VStorageObjectSnapshotInfo
VcenterVStorageObjectManager.RetrieveSnapshotDetails(id:ID datastore:&Datastore snapshotId:ID):VStorageObjectSnapshotDetails
VcenterVStorageObjectManager.VstorageObjectVCenterQueryChangedDiskAreas(id:ID datastore:&Datastore snapshotId:ID startOffset:long changeId:string):DiskChangeInfo
FileManager.MakeDirectory(name:string datacenter:&Datacenter? createParentDirectories:boolean?):void
EnvironmentBrowser.QueryConfigOptionDescriptor():VirtualMachineConfigOptionDescriptor[]?
VirtualDiskManager.QueryVirtualDiskUuid(name:string datacenter:&Datacenter?):string
`;

export const ENUMERATIONS = `
ArrayUpdateOperation=add|remove|edit
HostSystemConnectionState=connected|notResponding|disconnected
HostSystemPowerState=poweredOn|poweredOff|standBy|unknown
LatencySensitivitySensitivityLevel=low|normal|medium|high|custom
ManagedEntityStatus=gray|green|yellow|red
ObjectUpdateKind=modify|enter|leave
PbmObjectType=virtualMachine|virtualMachineAndDisks|virtualDiskId|virtualDiskUUID|datastore|vsanObjectId|fileShareId|host|cluster|unknown
PbmProfileCategory=REQUIREMENT|RESOURCE|DATA_SERVICE_POLICY
PbmProfileResourceTypeEnum=STORAGE
PropertyChangeOp=add|remove|assign|indirectRemove
SharesLevel=low|normal|high|custom
TaskInfoState=queued|running|success|error
VirtualDeviceConfigSpecFileOperation=create|destroy|replace
VirtualDeviceConfigSpecOperation=add|remove|edit
VirtualMachineConnectionState=connected|disconnected|orphaned|inaccessible|invalid
VirtualMachineFaultToleranceState=notConfigured|disabled|enabled|needSecondary|starting|running
VirtualMachineMovePriority=lowPriority|highPriority|defaultPriority
VirtualMachinePowerState=poweredOff|poweredOn|suspended
VirtualMachineRecordReplayState=recording|replaying|inactive
VirtualMachineRelocateTransformation=flat|sparse
VirtualMachineToolsStatus=toolsNotInstalled|toolsNotRunning|toolsOld|toolsOk
VirtualSCSISharing=noSharing|virtualSharing|physicalSharing
`;
