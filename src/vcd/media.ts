import { element, type XmlElement } from '../common/index.js';
import { findInCatalog, foundItem, type FoundItem, requireFreeName, writeCatalogEntry } from './catalog-items.js';
import type { VcdClientApi } from './client-api.js';
import { isGone, readMedia, sendChange, type VcdContext } from './context.js';
import { deleteEntity, deleteHalfMade, finishCreation, sendOnce } from './creation.js';
import { describe, writable } from './edit-entity.js';
import { writeOwner } from './edit-vapp.js';
import { waitUntilIdle } from './entity-tasks.js';
import { badAnswer, VcdError } from './error.js';
import { linkHref, sameEntity, under, userView } from './links.js';
import { writeMetadata } from './metadata.js';
import { MEDIA, VCLOUD } from './namespaces.js';
import { whole } from './sections.js';
import { isRunning, type TaskWait, waitForTask } from './tasks.js';
import { downloadBytes, uploadBytes } from './transfer.js';
import type { MediaCapture, NewMedia } from './types.js';

/** Media (ISO and floppy images) in catalogs, and their bytes. */

/** Has VCD make a file to fetch (202, a task); the file stays until endMediaDownload. */
export async function downloadMedia(
  context: VcdContext,
  mediaHref: string,
  signal?: AbortSignal,
): ReturnType<VcdClientApi['downloadMedia']> {
  const { root } = await readMedia(context, mediaHref, signal);
  const subject = context.names.label(mediaHref);
  const operation = `Downloading ${subject}`;
  const alreadyEnabled = transferLink(root, 'download:default') !== undefined;
  if (!alreadyEnabled) {
    await sendChange(context, {
      method: 'POST',
      href: under(mediaHref, 'action', 'enableDownload'),
      doing: 'Enabling the download of',
      entityHref: mediaHref,
      // A medium whose download is enabled stays so.
      idempotent: true,
      signal,
    });
  }
  const enabled = (await readMedia(context, mediaHref, signal)).root;
  const href = transferLink(enabled, 'download:default');
  const sizeBytes = whole(enabled.attribute('size'));
  if (href === undefined || sizeBytes === undefined) throw badAnswer(operation, 'the medium shows no file to download, or no size');
  return { sizeBytes, alreadyEnabled, body: downloadBytes({ http: context.http, href, sizeBytes, operation, subject, signal }) };
}

/** Waits for an enabling that still runs: its file would stay for an hour. Not enabled, or gone, is success. */
export async function endMediaDownload(context: VcdContext, mediaHref: string, signal?: AbortSignal): Promise<void> {
  try {
    const root = await waitUntilIdle(context, mediaHref, readMedia, context.taskTimeoutMs, signal);
    if (transferLink(root, 'download:default') === undefined) return;
    await sendChange(context, {
      method: 'POST',
      href: under(mediaHref, 'action', 'disableDownload'),
      doing: 'Ending the download of',
      entityHref: mediaHref,
      // A medium whose download is disabled stays so.
      idempotent: true,
      signal,
    });
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** The address of the medium's bytes, there only while they can be sent or fetched. */
function transferLink(media: XmlElement, rel: 'upload:default' | 'download:default'): string | undefined {
  const files = media.child('Files')?.childrenNamed('File') ?? [];
  return files.map((file) => linkHref(file, rel)).find((href) => href !== undefined);
}

/**
 * Puts an image into a catalog (action/upload: 201 with the catalog item, whose entity is the medium), sends its bytes,
 * and waits until VCD has taken it over. Whatever the failure, no half-made medium stays behind.
 * @throws VcdError DUPLICATE_NAME, MEDIUM_TOO_SHORT, TASK_FAILED …; what `body` throws
 */
export async function uploadMedia(
  context: VcdContext,
  media: NewMedia,
  body: (offsetBytes: number) => AsyncIterable<Buffer>,
  created: (mediaHref: string) => Promise<void>,
  signal?: AbortSignal,
): Promise<{ mediaHref: string; itemHref: string }> {
  const subject = `medium "${media.name}"`;
  const operation = `Uploading ${subject} into ${context.names.label(media.catalogHref)}`;
  await requireFreeName(context, media.catalogHref, media.name, operation, signal);
  const item = await postUpload(context, media, operation, signal);
  const mediaHref = item.entityHref;
  context.names.remember(mediaHref, media.name);
  try {
    await created(mediaHref);
    const begun = (await readMedia(context, mediaHref, signal)).root;
    const tasks = begun.child('Tasks')?.childrenNamed('Task') ?? [];
    await sendBytes(context, mediaHref, media.sizeBytes, body, { operation, subject, signal }).catch(async (error: unknown) => {
      if (error instanceof VcdError) await throwIfTaskFailed(context, tasks, { operation, subject, signal });
      throw error;
    });
    const read = async () => (await readMedia(context, mediaHref, signal)).root;
    await finishCreation(context, { href: mediaHref, tasks }, read, { operation, subject, signal });
    return { mediaHref, itemHref: item.itemHref };
  } catch (error) {
    await deleteHalfMade(context, mediaHref, readMedia);
    throw error;
  }
}

/** Bytes are refused once VCD has given the upload up: then its task says why. */
async function throwIfTaskFailed(
  context: VcdContext,
  tasks: readonly XmlElement[],
  wait: Pick<TaskWait, 'operation' | 'subject' | 'signal'>,
): Promise<void> {
  const { taskPollMs: pollMs, taskTimeoutMs: timeoutMs } = context;
  for (const href of tasks.flatMap((task) => task.attribute('href') ?? [])) {
    const task = (await context.http.get(href, `${wait.operation}: asking for the task`, wait.signal, wait.subject)).root();
    if (!isRunning(task)) await waitForTask(context.http, task, { ...wait, pollMs, timeoutMs });
  }
}

function postUpload(context: VcdContext, media: NewMedia, operation: string, signal?: AbortSignal): Promise<FoundItem> {
  const send = async (): Promise<FoundItem> => {
    const answer = await context.http.request({
      method: 'POST',
      href: under(userView(media.catalogHref), 'action', 'upload'),
      operation,
      subject: `medium "${media.name}"`,
      body: newMediaBody(media),
      contentType: MEDIA.media,
      signal,
    });
    const item = answer.root();
    const itemHref = item.attribute('href') ?? answer.location;
    if (item.local !== 'CatalogItem' || itemHref === undefined) {
      throw badAnswer(operation, 'the answer is not a catalog item', answer.requestId);
    }
    return foundItem(itemHref, item);
  };
  return sendOnce(context, send, () => findInCatalog(context, media.catalogHref, media.name, signal), signal);
}

/** MediaType: Description, then VdcStorageProfile. */
export function newMediaBody({ name, description, imageType, sizeBytes, storageProfileHref }: NewMedia): XmlElement {
  return element(
    'Media',
    VCLOUD,
    { size: String(sizeBytes), imageType, name },
    element('Description', VCLOUD, {}, description ?? ''),
    storageProfileHref === undefined ? undefined : element('VdcStorageProfile', VCLOUD, { href: storageProfileHref }),
  );
}

async function sendBytes(
  context: VcdContext,
  mediaHref: string,
  sizeBytes: number,
  body: (offsetBytes: number) => AsyncIterable<Buffer>,
  about: { operation: string; subject: string; signal?: AbortSignal },
): Promise<void> {
  const { operation, signal } = about;
  const href = transferLink((await readMedia(context, mediaHref, signal)).root, 'upload:default');
  if (href === undefined) throw badAnswer(operation, 'the new medium shows no address for its bytes');
  const receivedBytes = async (): Promise<number> => {
    const { root } = await readMedia(context, mediaHref, signal);
    // With its last byte the address goes, and the file with it.
    if (transferLink(root, 'upload:default') === undefined) return sizeBytes;
    const count = whole(root.find('Files', 'File')?.attribute('bytesTransferred')) ?? 0;
    return Math.max(0, Math.min(count, sizeBytes));
  };
  await uploadBytes({ http: context.http, href, sizeBytes, ...about }, body, receivedBytes);
}

/** Name, description, owner where given, metadata of the medium and of its item. */
export async function writeMedia(
  context: VcdContext,
  mediaHref: string,
  captured: MediaCapture,
  ownerHref: string | undefined,
  signal?: AbortSignal,
): Promise<void> {
  const { root } = await readMedia(context, mediaHref, signal);
  const description = captured.description ?? '';
  if (root.attribute('name') !== captured.name || (root.textAt('Description') ?? '') !== description) {
    await sendChange(context, {
      method: 'PUT',
      href: linkHref(root, 'edit', MEDIA.media) ?? mediaHref,
      doing: 'Writing name and description of',
      entityHref: mediaHref,
      body: describe(writable(root), description).setAttribute('name', captured.name),
      contentType: MEDIA.media,
      signal,
    });
    context.names.remember(mediaHref, captured.name);
  }
  const owner = root.child('Owner')?.child('User')?.attribute('href');
  if (ownerHref !== undefined && (owner === undefined || !sameEntity(owner, ownerHref)))
    await writeOwner(context, mediaHref, ownerHref, signal);
  await writeMetadata(context, mediaHref, captured.metadata, signal);
  await writeCatalogEntry(context, root, captured.catalogEntry, captured.name, signal);
}

/** Its catalog item goes with it. Absent is success; an upload that still waits for bytes is stopped. */
export function deleteMedia(context: VcdContext, mediaHref: string, signal?: AbortSignal): Promise<void> {
  return deleteEntity(context, mediaHref, readMedia, signal);
}
