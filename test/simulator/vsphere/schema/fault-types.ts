/**
 * Faults. Names, order and cardinality of the public vSphere Web Services API (8.0.3), as pyVmomi (Apache-2.0) lists them; element
 * order on the wire is this order, inherited fields first.
 *
 * One type a line: `Name<Parent field:type …`. `?` may be absent, `[]` repeats, `&T` is a reference to a managed object.
 */
export const FAULT_TYPES = `
InvalidDeviceOperation<InvalidDeviceSpec badOp:VirtualDeviceConfigSpecOperation? badFileOp:VirtualDeviceConfigSpecFileOperation?
MethodDisabled<RuntimeFault source:string?
MethodFault faultCause:LocalizedMethodFault? faultMessage:LocalizableMessage[]?
PbmFault<MethodFault
PbmFaultNotFound<PbmFault
RuntimeFault<MethodFault
LocalizedMethodFault fault:MethodFault localizedMessage:string?
AlreadyExists<VimFault name:string?
ApplicationQuiesceFault<SnapshotFault
CannotAccessFile<FileFault
ConcurrentAccess<VimFault
DeviceNotFound<InvalidDeviceSpec
DuplicateName<VimFault name:string object:&
FileAlreadyExists<FileFault
FileFault<VimFault file:string
FileLocked<FileFault
FileNotFound<FileFault
FilesystemQuiesceFault<SnapshotFault
GenericVmConfigFault<VmConfigFault reason:string
HostConnectFault<VimFault
InsufficientResourcesFault<VimFault
InvalidArgument<RuntimeFault invalidProperty:string?
InvalidCollectorVersion<MethodFault
InvalidController<InvalidDeviceSpec controllerKey:int
InvalidDatastore<VimFault datastore:&Datastore? name:string?
InvalidDatastorePath<InvalidDatastore datastorePath:string
InvalidDeviceBacking<InvalidDeviceSpec
InvalidDeviceSpec<InvalidVmConfig deviceIndex:int
InvalidFolder<VimFault target:&ManagedEntity
InvalidFormat<VmConfigFault
InvalidLogin<VimFault
InvalidName<VimFault name:string entity:&ManagedEntity?
InvalidPowerState<InvalidState requestedState:VirtualMachinePowerState? existingState:VirtualMachinePowerState
InvalidProperty<MethodFault name:string
InvalidRequest<RuntimeFault
InvalidSnapshotFormat<InvalidFormat
InvalidState<VimFault
InvalidType<InvalidRequest argument:string?
InvalidVmConfig<VmConfigFault property:string?
LimitExceeded<VimFault property:string? limit:int?
ManagedObjectNotFound<RuntimeFault obj:&
MemorySnapshotOnIndependentDisk<SnapshotFault
MethodNotFound<InvalidRequest receiver:& method:string
MissingController<InvalidDeviceSpec
NoDiskSpace<FileFault datastore:string
NoPermission<SecurityError object:&? privilegeId:string? missingPrivileges:NoPermissionEntityPrivileges[]?
NotAuthenticated<NoPermission
NotFound<VimFault
NotSupported<RuntimeFault
RequestCanceled<RuntimeFault
ResourceInUse<VimFault type:string? name:string?
RestrictedVersion<SecurityError
SecurityError<RuntimeFault
SnapshotFault<VimFault
SystemError<RuntimeFault reason:string
TaskInProgress<VimFault task:&Task
Timedout<VimFault
TooManySnapshotLevels<SnapshotFault
ToolsUnavailable<VimFault
UserNotFound<VimFault principal:string unresolved:boolean
VimFault<MethodFault
VmConfigFault<VimFault
`;
