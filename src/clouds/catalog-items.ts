import { VcdError, type VcdClientApi } from '../vcd/index.js';

type ItemKind = 'vapp-template' | 'media';

/** A vApp template being captured from a vApp into a catalog, under a name nobody else uses until its address is known. */
export type UnfinishedTemplate = { cloudId: string; catalogHref: string; vappHref: string; name: string; templateHref?: string };

/** A medium being uploaded into a catalog, under a name nobody else uses until its address is known. */
export type UnfinishedMedia = { cloudId: string; catalogHref: string; name: string; mediaHref?: string };

/** A restored template or medium that stands, and has not yet the name of the one it replaces: a catalog takes each name once. */
export type ItemReplacement = { cloudId: string; kind: ItemKind; entityHref: string; name: string; oldEntityHref: string };

/** A capture that still runs is stopped: it would end by itself only when every disk is copied. */
export async function undoTemplate(
  terms: UnfinishedTemplate,
  vcd: VcdClientApi,
  tasksTimeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const href = terms.templateHref ?? (await inCatalogByName(vcd, terms, 'vapp-template', signal)) ?? (await afterTasksOfVapp());
  if (href !== undefined) await vcd.deleteTemplate(href, signal);

  /** The capture is a task of the vApp too: while it runs, the template may not be in the catalog yet. */
  async function afterTasksOfVapp(): Promise<string | undefined> {
    await unlessGone(() => vcd.waitForRunningTasks(terms.vappHref, tasksTimeoutMs, signal));
    return inCatalogByName(vcd, terms, 'vapp-template', signal);
  }
}

/** An upload that still waits for bytes is stopped: nobody sends them any more. */
export async function undoMedia(terms: UnfinishedMedia, vcd: VcdClientApi, signal: AbortSignal): Promise<void> {
  const href = terms.mediaHref ?? (await inCatalogByName(vcd, terms, 'media', signal));
  if (href !== undefined) await vcd.deleteMedia(href, signal);
}

/** Deletes the old one, then gives the new one its name. What is done already is passed over. */
export async function completeItemReplacement(
  terms: ItemReplacement,
  vcd: VcdClientApi,
  tasksTimeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { kind, entityHref, oldEntityHref, name } = terms;
  const atRest = (href: string) => unlessGone(() => vcd.waitForEntityTasks(href, tasksTimeoutMs, signal));
  // Somebody who deleted the new one wants to keep the old one.
  if (!(await atRest(entityHref))) return;
  if (await atRest(oldEntityHref)) {
    await (kind === 'media' ? vcd.deleteMedia(oldEntityHref, signal) : vcd.deleteTemplate(oldEntityHref, signal));
  }
  await unlessGone(async () => {
    if (kind === 'media') {
      const today = await vcd.captureMedia(entityHref, signal);
      if (today.name !== name) await vcd.writeMedia(entityHref, { ...today, name }, undefined, signal);
    } else {
      const today = await vcd.captureVappTemplate(entityHref, signal);
      if (today.name !== name) await vcd.writeTemplate(entityHref, { ...today, name }, signal);
    }
  });
}

async function inCatalogByName(
  vcd: VcdClientApi,
  { catalogHref, name }: { catalogHref: string; name: string },
  kind: ItemKind,
  signal: AbortSignal,
): Promise<string | undefined> {
  let href: string | undefined;
  await unlessGone(async () => {
    const found = await vcd.findInCatalog(catalogHref, name, signal);
    if (found?.kind === kind) href = found.entityHref;
  });
  return href;
}

const GONE: ReadonlySet<string> = new Set(['TEMPLATE_NOT_FOUND', 'MEDIA_NOT_FOUND', 'VAPP_NOT_FOUND']);

/** @returns false where the object is not there any more. */
async function unlessGone(work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (error instanceof VcdError && (GONE.has(error.code) || error.saysGone)) return false;
    throw error;
  }
}
