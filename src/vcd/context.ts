import { retry, type XmlElement } from '../common/index.js';
import { badAnswer, VcdError } from './error.js';
import type { VcdHttp } from './http.js';
import { uuidOf } from './links.js';
import { taskOf, waitForTask } from './tasks.js';

/** What every subject of this room works with. */
export interface VcdContext {
  http: VcdHttp;
  names: EntityNames;
  taskPollMs: number;
  taskTimeoutMs: number;
}

const MAX_NAMES = 20_000;

/** What a person calls the object behind an address; the first that fits. */
const KINDS: readonly (readonly [RegExp, string])[] = [
  [/\/vm-/, 'VM'],
  [/\/vapp-/, 'vApp'],
  [/\/vdc\//, 'VDC'],
  [/\/disk\//, 'named disk'],
  [/\/vAppTemplate\//, 'vApp template'],
  [/\/media\//, 'medium'],
  [/\/catalogItem\//, 'catalog item'],
  [/\/catalog\//, 'catalog'],
  [/\/vmAffinityRule\//, 'affinity rule'],
];

/** Names seen in answers, so that an error can say `vApp "shop"` where the caller had an href only. */
export class EntityNames {
  readonly #labels = new Map<string, string>();

  remember(href: string, name: string): void {
    const uuid = uuidOf(href);
    if (uuid === undefined || name === '') return;
    // A Map keeps the order of insertion: the oldest goes first.
    this.#labels.delete(uuid);
    this.#labels.set(uuid, name);
    if (this.#labels.size > MAX_NAMES) this.#labels.delete(this.#labels.keys().next().value as string);
  }

  label(href: string): string {
    const kind = KINDS.find(([path]) => path.test(href))?.[1] ?? 'entity';
    const uuid = uuidOf(href);
    const name = uuid === undefined ? undefined : this.#labels.get(uuid);
    return name === undefined ? `${kind} ${uuid ?? href}` : `${kind} "${name}"`;
  }
}

export interface Change {
  method: 'POST' | 'PUT' | 'DELETE';
  href: string;
  /** `Writing the lease of`: the entity's name is added. */
  doing: string;
  entityHref: string;
  body?: XmlElement;
  contentType?: string;
  idempotent?: boolean;
  /** For what makes something new: its task is cancelled when nobody waits for it any more. */
  cancelOnAbort?: boolean;
  signal?: AbortSignal;
}

/**
 * Sends a change and, where VCD makes a task of it (202), waits for its end. A task that fails because
 * something else kept the entity busy is begun again like a request refused for that reason.
 */
export async function sendChange(context: VcdContext, change: Change): Promise<void> {
  const subject = context.names.label(change.entityHref);
  const operation = `${change.doing} ${subject}`;
  const { method, href, body, contentType, idempotent, cancelOnAbort, signal } = change;
  const { taskPollMs: pollMs, taskTimeoutMs: timeoutMs } = context;
  const repeatable = idempotent ?? method !== 'POST';
  const retryIf = (error: unknown) => error instanceof VcdError && error.code === 'TASK_FAILED' && error.retryable && repeatable;
  await retry({ ...context.http.patience(signal), retryIf }, async () => {
    const answer = await context.http.request({ method, href, body, contentType, idempotent, signal, operation, subject });
    if (answer.status !== 202) return;
    await waitForTask(context.http, taskOf(answer, operation), { operation, subject, pollMs, timeoutMs, signal, cancelOnAbort });
  });
}

/** @throws VcdError VAPP_NOT_FOUND */
export function readVapp(context: VcdContext, href: string, signal?: AbortSignal): Promise<EntityAnswer> {
  return readEntity(context, href, 'VApp', 'VAPP_NOT_FOUND', signal);
}

/** @throws VcdError VM_NOT_FOUND */
export function readVm(context: VcdContext, href: string, signal?: AbortSignal): Promise<EntityAnswer> {
  return readEntity(context, href, 'Vm', 'VM_NOT_FOUND', signal);
}

/** @throws VcdError TEMPLATE_NOT_FOUND */
export function readTemplate(context: VcdContext, href: string, signal?: AbortSignal): Promise<EntityAnswer> {
  return readEntity(context, href, 'VAppTemplate', 'TEMPLATE_NOT_FOUND', signal);
}

/** @throws VcdError MEDIA_NOT_FOUND */
export function readMedia(context: VcdContext, href: string, signal?: AbortSignal): Promise<EntityAnswer> {
  return readEntity(context, href, 'Media', 'MEDIA_NOT_FOUND', signal);
}

export interface EntityAnswer {
  root: XmlElement;
  text: string;
}

/** @param goneCode the code of the VcdError where the entity is gone: `DISK_NOT_FOUND` … */
export async function readEntity(
  context: VcdContext,
  href: string,
  local: string,
  goneCode: string,
  signal?: AbortSignal,
): Promise<EntityAnswer> {
  const subject = context.names.label(href);
  const operation = `Reading ${subject}`;
  try {
    const answer = await context.http.get(href, operation, signal, subject);
    const root = answer.root();
    if (root.local !== local) throw badAnswer(operation, `the answer is a ${root.local}, not a ${local}`, answer.requestId);
    context.names.remember(href, root.attribute('name') ?? '');
    for (const vm of root.child('Children')?.childrenNamed('Vm') ?? []) {
      context.names.remember(vm.attribute('href') ?? '', vm.attribute('name') ?? '');
    }
    return { root, text: answer.text };
  } catch (error) {
    throw error instanceof VcdError && error.saysGone ? gone(error, subject, goneCode) : error;
  }
}

function gone(error: VcdError, subject: string, code: string): VcdError {
  return new VcdError(`${subject} is not in vCloud Director any more, or this login may not see it.`, {
    code,
    subject,
    operation: error.operation,
    httpStatus: error.httpStatus,
    minorErrorCode: error.minorErrorCode,
    requestId: error.requestId,
  });
}

const GONE = new Set(['VAPP_NOT_FOUND', 'VM_NOT_FOUND', 'TEMPLATE_NOT_FOUND', 'MEDIA_NOT_FOUND', 'DISK_NOT_FOUND']);

/** True for what means: the object is not there. */
export function isGone(error: unknown): boolean {
  return error instanceof VcdError && (GONE.has(error.code) || error.saysGone);
}
