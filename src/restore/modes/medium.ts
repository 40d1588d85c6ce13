import { newId } from '../../common/index.js';
import { owe } from '../../clouds/index.js';
import type { ObligationHandle } from '../../jobs/index.js';
import { compareMedia, type MediaCapture } from '../../vcd/index.js';
import { MediumBytes } from '../medium-bytes.js';
import type { ComparedAttribute, MediumPlan } from '../plan-types.js';
import { deviationsOf, differencesOf, reasonFor } from '../restore-result.js';
import type { RestoreContext } from './context.js';
import { nameTaking, nameWhileMaking, takeTheName } from './take-the-name.js';

export type MediumContext = Omit<RestoreContext, 'plan'> & { plan: MediumPlan };

/**
 * A medium into a catalog: its bytes are uploaded from the repository, then it gets what an upload has no parameter for.
 * Until the end it is owed: a restore that fails or dies leaves nothing half-made.
 */
export async function restoreMedium(context: MediumContext): Promise<Record<string, unknown>> {
  const { plan, run, vcd, cloud } = context;
  const { place, owner, wanted } = plan;
  const unique = newId();
  const { mediaHref, debt } = await run.step('Upload the medium', () => upload(context, nameWhileMaking(place.name, unique)));
  // A catalog takes each name once: while the one it replaces stands, it keeps the name it was made under.
  const name = place.replaced === undefined ? place.name : nameWhileMaking(place.name, unique);
  await run.step('Put back description, owner and metadata', () => vcd.writeMedia(mediaHref, { ...wanted, name }, owner?.href, run.signal));
  const { now, attributes } = await run.step('Compare with the restore point', () => compare(context, mediaHref));
  const result = {
    mediaHref,
    mediaId: now.id,
    mediaName: place.name,
    catalogName: now.catalogEntry.catalog.name,
    writtenBytes: plan.medium.sizeBytes,
    deviations: deviationsOf({ items: plan.items, keepMacAddresses: true }),
    differences: differencesOf(attributes),
    comparison: attributes,
  };
  const [replacement] = await run.step('Hand over', async () => {
    if (plan.keepIdentity) await context.parts.catalog.addVappAlias(plan.content.vapp.id, cloud.cloudId, now.id);
    return run.commit(result, [debt], nameTaking(cloud.cloudId, 'media', mediaHref, place));
  });
  await takeTheName(run, replacement, `medium "${place.name}"`);
  return result;
}

async function upload(
  { plan, run, vcd, cloud, parts }: MediumContext,
  name: string,
): Promise<{ mediaHref: string; debt: ObligationHandle }> {
  const { medium, place, captured, wanted } = plan;
  const { signal } = run;
  if (place.catalog === undefined) throw new Error('A plan that can start names the catalog');
  const catalogHref = place.catalog.href;
  const { sizeBytes } = medium;
  const bytes = new MediumBytes(await parts.repository.openDisk(plan.manifest, medium, signal), medium, captured.name);
  const debt = await owe(run.obligations, 'vcd.media', { cloudId: cloud.cloudId, catalogHref, name });
  const { mediaHref } = await vcd.uploadMedia(
    {
      catalogHref,
      name,
      imageType: captured.imageType,
      sizeBytes,
      ...(wanted.description !== undefined && { description: wanted.description }),
      ...(plan.storageProfileHref !== undefined && { storageProfileHref: plan.storageProfileHref }),
    },
    (offsetBytes) =>
      withProgress(bytes.from(offsetBytes, signal), offsetBytes, (doneBytes) =>
        run.progress(place.name, { doneBytes, totalBytes: sizeBytes }),
      ),
    (href) => debt.amend({ mediaHref: href }),
    signal,
  );
  await bytes.assertAllSent(signal);
  return { mediaHref, debt };
}

async function* withProgress(
  pieces: AsyncIterable<Buffer>,
  offsetBytes: number,
  tell: (doneBytes: number) => void,
): AsyncGenerator<Buffer> {
  let doneBytes = offsetBytes;
  tell(doneBytes);
  for await (const piece of pieces) {
    yield piece;
    doneBytes += piece.length;
    tell(doneBytes);
  }
}

/** Each attribute as captured and as it is now; those that differ without the plan having said so become warnings. */
async function compare(
  { plan, run, vcd }: MediumContext,
  mediaHref: string,
): Promise<{ now: MediaCapture; attributes: ComparedAttribute[] }> {
  const now = await vcd.captureMedia(mediaHref, run.signal);
  const attributes = compareMedium(plan, now);
  for (const { attribute, captured, now: value, equal, why } of attributes) {
    if (equal || why !== null) continue;
    run.warn(`Medium "${plan.place.name}": ${attribute} is ${JSON.stringify(value)}, the restore point has ${JSON.stringify(captured)}.`);
  }
  return { now, attributes };
}

export function compareMedium(plan: Pick<MediumPlan, 'captured' | 'place' | 'items'>, now: MediaCapture): ComparedAttribute[] {
  const { captured, place, items } = plan;
  // Another one has its name until it goes.
  const ignoreName = place.name !== captured.name || place.replaced !== undefined;
  return compareMedia(captured, now, { ignoreName }).map(({ path, expected, actual, equal }) => ({
    attribute: path,
    captured: expected,
    now: actual,
    equal,
    why: equal ? null : reasonFor(path, items),
  }));
}
