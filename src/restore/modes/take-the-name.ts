import { describeError } from '../../common/index.js';
import { follows, type ObligationTerms } from '../../clouds/index.js';
import type { NewObligation, ObligationHandle, RunContext } from '../../jobs/index.js';
import type { CatalogPlace } from '../plan-types.js';

/**
 * The last step of a restore that replaces a catalog item, as a debt that begins with its commit: the old one is
 * deleted, and the new one gets its name. Empty where nothing is replaced. Pass it to `RunContext.commit`.
 */
export function nameTaking(
  cloudId: string,
  kind: ObligationTerms['vcd.replace-item']['kind'],
  entityHref: string,
  place: CatalogPlace,
): NewObligation[] {
  if (place.replaced === undefined) return [];
  return [follows('vcd.replace-item', { cloudId, kind, entityHref, name: place.name, oldEntityHref: place.replaced.entityHref })];
}

/** A failure is said and tried again after the run's end: what was restored stands, and must not be taken away for it. */
export async function takeTheName(run: RunContext, debt: ObligationHandle | undefined, what: string): Promise<void> {
  if (debt === undefined) return;
  try {
    await run.step(`Put in the place of the old ${what}`, () => debt.pay());
  } catch (error) {
    if (run.signal.aborted) throw error;
    run.warn(`${what} is restored beside the old one, which is still there: ${describeError(error)}`);
  }
}

/** Nobody else uses it: should we die before learning the address of what is made, it is found by it. */
export function nameWhileMaking(name: string, unique: string): string {
  return `${name.slice(0, 80)}-${unique}`;
}
