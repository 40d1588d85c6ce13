import type { XmlElement } from '../../../src/common/index.js';
import { build } from './xml-names.js';

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that XML 1.0 does not allow
const NOT_XML = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g;

/** An answer that is an error: HTTP status, minor code and text as a cell gives them. */
export class VcdFault extends Error {
  override readonly name = 'VcdFault';
  constructor(
    readonly status: number,
    readonly minorErrorCode: string,
    message: string,
    /** Sent as Retry-After. */
    readonly retryAfterSeconds?: number,
  ) {
    // A text that goes out as XML: what XML has no character for (a path may hold it) is shown as its code.
    super(message.replace(NOT_XML, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`));
  }
}

export const badRequest = (message: string): VcdFault => new VcdFault(400, 'BAD_REQUEST', message);

/** VCD does not say whether a thing exists: what is gone and what belongs to others look alike. */
export function noAccess(kind: string, id: string): VcdFault {
  return new VcdFault(
    403,
    'ACCESS_TO_RESOURCE_IS_FORBIDDEN',
    `[ ${randomLabel()} ] Either you need some or all of the following rights [Base] to perform operations [${kind.toUpperCase()}_VIEW] for ${id} or the target entity is invalid. No access to entity "com.vmware.vcloud.entity.${kind}:${id}".`,
  );
}

export function operationDenied(rights: string): VcdFault {
  return new VcdFault(
    403,
    'ACCESS_TO_RESOURCE_IS_FORBIDDEN',
    `Either you need some or all of the following rights [${rights}] to perform this operation or the target entity is invalid.`,
  );
}

export function busyEntity(kind: string, id: string, operation: string, taskId: string): VcdFault {
  return new VcdFault(
    400,
    'BUSY_ENTITY',
    `The entity Ref: com.vmware.vcloud.entity.${kind}:${id} is busy completing an operation ${operation}(com.vmware.vcloud.entity.task:${taskId}).`,
  );
}

export function duplicateName(name: string): VcdFault {
  return new VcdFault(400, 'DUPLICATE_NAME', `The VCD entity ${name} already exists.`);
}

let counter = 0;
function randomLabel(): string {
  counter += 1;
  return `sim-${counter.toString(36)}`;
}

/** @param forProvider only a system administrator is shown a stack trace. */
export function errorElement(name: string, fault: VcdFault, forProvider: boolean): XmlElement {
  return build(name, {
    stackTrace: forProvider ? `com.vmware.vcloud.api.presentation.service.${fault.minorErrorCode}: ${fault.message}` : undefined,
    message: fault.message,
    majorErrorCode: fault.status,
    minorErrorCode: fault.minorErrorCode,
  });
}
