import type { VmState } from '../model/state.js';
import { isMoRef, moRef, type MoRef, type VimValue } from '../model/vim.js';
import type { VsphereModel } from '../model/vsphere-model.js';
import { ruleFault, type FaultRules } from './fault-rules.js';
import { schema, type FieldType } from './schema/schema.js';
import type { VcenterSession, VcenterSessions } from './sessions.js';
import type { TaskBoard } from './tasks.js';

export interface VcenterCore {
  model: VsphereModel;
  tasks: TaskBoard;
  sessions: VcenterSessions;
  rules: FaultRules;
}

export interface Call {
  core: VcenterCore;
  /** Undefined only for the operations that need none. */
  session: VcenterSession | undefined;
  self: MoRef;
  args: Record<string, VimValue>;
  address: string;
  userAgent: string;
  /** Ends with the client's connection. */
  signal: AbortSignal;
  /** Sets the session cookie of the answer. */
  setCookie(cookie: string | undefined): void;
}

/** Already encoded content of returnval elements; a value to be encoded by the operation's result type; or by its own. */
export type Result = { raw: string[] } | { value: VimValue } | { property: { value: VimValue; type: FieldType } };
export type Handler = (call: Call) => Promise<Result> | Result;

export const value = (result: VimValue): Result => ({ value: result });
export const nothing: Result = { value: undefined };
export const argument = (call: Call, name: string): string | undefined =>
  typeof call.args[name] === 'string' ? (call.args[name] as string) : undefined;
export const reference = (call: Call, name: string): string | undefined =>
  isMoRef(call.args[name]) ? (call.args[name] as MoRef).value : undefined;
export const vmOf = (call: Call): VmState => call.core.model.inventory.vm(call.self.value);

/** Starts a task on a VM, one at a time for each. */
export function vmTask(call: Call, vm: VmState, operation: string, work: () => Promise<VimValue>, cancelable = false): Result {
  return task(
    call,
    operation,
    moRef('VirtualMachine', vm.moRef),
    vm.config.name as string,
    () => call.core.model.inventory.locked(vm.moRef, work),
    { exclusive: true, cancelable },
  );
}

export function task(
  call: Call,
  operation: string,
  entity: MoRef,
  name: string,
  work: () => Promise<VimValue>,
  options = { exclusive: false, cancelable: false },
): Result {
  const rule = call.core.rules.match('vcenter', operation, [entity.value, call.self.value], ['taskError']);
  const owner = schema.operation(operation)?.owner ?? '';
  const descriptionId = `${owner}.${operation.charAt(0).toLowerCase()}${operation.slice(1).replace(/_Task$/, '')}`;
  return value(
    call.core.tasks.start(operation, { reference: entity, name, descriptionId }, { ...options, injected: rule && ruleFault(rule) }, work),
  );
}
