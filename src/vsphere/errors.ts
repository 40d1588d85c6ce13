import { VaultError, type VaultErrorFields, type XmlElement } from '../common/index.js';
import { PRIVILEGES } from './privileges.js';
import { typeOf } from './vim-xml.js';

export interface VsphereErrorFields extends VaultErrorFields {
  /** vim25 fault type: `FileFault`. */
  faultType?: string;
  /** vim25 method: `CreateSnapshot_Task`. */
  method?: string;
  /** MoRef of the object it was called on. */
  object?: string;
  /** InvalidArgument.invalidProperty, InvalidProperty.name. */
  invalidProperty?: string;
}

/** Every failure of a vCenter. Carries no request, so it can hold neither password nor session cookie. */
export class VsphereError extends VaultError {
  readonly faultType: string | undefined;
  readonly method: string | undefined;
  readonly object: string | undefined;
  readonly invalidProperty: string | undefined;

  constructor(message: string, fields: VsphereErrorFields) {
    const { faultType, method, object, invalidProperty } = fields;
    super(message, { ...fields, details: { ...fields.details, ...defined({ faultType, method, object, invalidProperty }) } });
    this.faultType = faultType;
    this.method = method;
    this.object = object;
    this.invalidProperty = invalidProperty;
  }
}

/** What a fault means for the caller: our code, and whether the same call may succeed later by itself. */
const MEANING: Readonly<Record<string, { code: string; retryable?: boolean; advice?: string }>> = {
  ManagedObjectNotFound: { code: 'NOT_FOUND' },
  InvalidLogin: { code: 'LOGIN_REFUSED' },
  NotAuthenticated: { code: 'NOT_AUTHENTICATED', retryable: true },
  NoPermission: { code: 'NO_PERMISSION' },
  TaskInProgress: { code: 'TASK_IN_PROGRESS', retryable: true },
  VimFault: { code: 'VSPHERE_FAULT' },
  HostCommunication: { code: 'HOST_COMMUNICATION', retryable: true },
  HostNotConnected: { code: 'HOST_NOT_CONNECTED', retryable: true },
  HostNotReachable: { code: 'HOST_NOT_REACHABLE', retryable: true },
  ResourceInUse: { code: 'RESOURCE_IN_USE', retryable: true },
  ConcurrentAccess: { code: 'CONCURRENT_ACCESS', retryable: true },
  FileLocked: { code: 'FILE_LOCKED', retryable: true },
  Timedout: { code: 'VSPHERE_TIMED_OUT', retryable: true },
  NoDiskSpace: { code: 'NO_DISK_SPACE', advice: 'free space on the datastore' },
  ApplicationQuiesceFault: { code: 'QUIESCE_FAILED' },
  FilesystemQuiesceFault: { code: 'QUIESCE_FAILED' },
  QuiesceDatastoreIOForHAFailed: { code: 'QUIESCE_FAILED' },
  ToolsUnavailable: { code: 'QUIESCE_FAILED' },
};

/** `FilesystemQuiesceFault` -> FILESYSTEM_QUIESCE_FAULT: every fault has a stable code, known here or not. */
function codeOf(faultType: string): string {
  return MEANING[faultType]?.code ?? faultType.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase();
}

export interface VimFault {
  faultType: string;
  message: string;
  invalidProperty: string | undefined;
  /** Of NoPermission. */
  missingPrivileges?: readonly string[];
}

export interface FaultContext {
  /** What was being done, to what: `creating a snapshot of VM "web-1" (vm-16)`. */
  doing: string;
  vcenter: string;
  method?: string;
  object?: string;
  subject?: string;
}

export function faultError(fault: VimFault, context: FaultContext): VsphereError {
  const meaning = MEANING[fault.faultType];
  const reason = fault.message === '' ? fault.faultType : `${fault.message.replace(/[.\s]+$/, '')} (${fault.faultType})`;
  const sentence =
    fault.faultType === 'ManagedObjectNotFound'
      ? `vCenter ${context.vcenter} no longer has the object needed for ${context.doing}`
      : `vCenter ${context.vcenter} refused ${context.doing}: ${reason}`;
  const advice = fault.faultType === 'NoPermission' ? privilegeAdvice(fault.missingPrivileges ?? []) : meaning?.advice;
  return new VsphereError(`${sentence}${advice === undefined ? '' : `; ${advice}`}.`, {
    code: codeOf(fault.faultType),
    retryable: meaning?.retryable ?? false,
    faultType: fault.faultType,
    ...defined({
      method: context.method,
      object: context.object,
      subject: context.subject,
      invalidProperty: fault.invalidProperty,
    }),
  });
}

/** Reads a soap:Fault: vim25 puts its own fault, typed, as the one child of `detail`. */
export function readSoapFault(fault: XmlElement): VimFault {
  const detail = fault.child('detail')?.elements()[0];
  const type = typeOf(detail) ?? detail?.local.replace(/Fault$/, '') ?? 'SoapFault';
  return {
    faultType: type,
    message: fault.textAt('faultstring') ?? '',
    invalidProperty: detail?.textAt('invalidProperty') ?? (type === 'InvalidProperty' ? detail?.textAt('name') : undefined),
    missingPrivileges: missingPrivileges(detail),
  };
}

/** Reads a LocalizedMethodFault: TaskInfo.error, MissingProperty.fault. */
export function readLocalizedFault(element: XmlElement): VimFault {
  const fault = element.child('fault');
  return {
    faultType: typeOf(fault) ?? 'VimFault',
    message: element.textAt('localizedMessage') ?? '',
    invalidProperty: fault?.textAt('invalidProperty'),
    missingPrivileges: missingPrivileges(fault),
  };
}

/** NoPermission: all that are missing where vCenter tells them (8.0), else the first. */
function missingPrivileges(fault: XmlElement | undefined): string[] {
  const all = (fault?.childrenNamed('missingPrivileges') ?? []).flatMap((each) => each.childrenNamed('privilegeIds'));
  const ids = all.map((id) => id.text());
  const first = fault?.textAt('privilegeId');
  return ids.length === 0 && first !== undefined ? [first] : [...new Set(ids)];
}

function privilegeAdvice(ids: readonly string[]): string {
  if (ids.length === 0) return 'give the registered vCenter user the missing privilege';
  const named = ids.map((id) => `"${PRIVILEGES.find((privilege) => privilege.id === id)?.label ?? id}"`);
  return `give the registered vCenter user the ${ids.length === 1 ? 'privilege' : 'privileges'} ${named.join(', ')}`;
}

export function isNotFound(error: unknown): boolean {
  return error instanceof VsphereError && error.code === 'NOT_FOUND';
}

export function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
