/** vim25 data as plain JSON: what the model keeps and what the SOAP door reads and writes. */
export type VimValue = string | number | boolean | VimObject | VimValue[] | undefined;

export interface VimObject {
  /** vim25 type name: VirtualDisk, TaskInfo … */
  $type: string;
  [field: string]: VimValue;
}

export interface MoRef extends VimObject {
  $type: 'ManagedObjectReference';
  type: string;
  value: string;
}

export function moRef(type: string, value: string): MoRef {
  return { $type: 'ManagedObjectReference', type, value };
}

export function vim($type: string, fields: Record<string, VimValue> = {}): VimObject {
  return { $type, ...fields };
}

export function isObject(value: VimValue): value is VimObject {
  return typeof value === 'object' && !Array.isArray(value);
}

export function isMoRef(value: VimValue): value is MoRef {
  return isObject(value) && value.$type === 'ManagedObjectReference';
}

export function objectAt(holder: VimObject, field: string): VimObject | undefined {
  const value = holder[field];
  return isObject(value) ? value : undefined;
}

export function listAt(holder: VimObject, field: string): VimObject[] {
  const value = holder[field];
  return Array.isArray(value) ? value.filter(isObject) : [];
}

export function stringAt(holder: VimObject | undefined, field: string): string | undefined {
  const value = holder?.[field];
  return typeof value === 'string' ? value : undefined;
}

export function numberAt(holder: VimObject | undefined, field: string): number | undefined {
  const value = holder?.[field];
  return typeof value === 'number' ? value : undefined;
}

export function booleanAt(holder: VimObject | undefined, field: string): boolean | undefined {
  const value = holder?.[field];
  return typeof value === 'boolean' ? value : undefined;
}

export function referenceAt(holder: VimObject | undefined, field: string): string | undefined {
  const value = holder?.[field];
  return isMoRef(value) ? value.value : undefined;
}
