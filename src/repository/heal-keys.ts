import { isRepositoryError } from './errors.js';
import type { Repository } from './repository.js';
import { isShredded } from './shredded.js';
import type { VerifyFinding } from './verify.js';

/**
 * Key files that do not open here and do at the other site are put back. One that is absent stays absent: its organization was shredded.
 * @returns those that were damaged, each when it is back.
 */
export async function* healKeyFiles(here: Repository, other: Repository, signal?: AbortSignal): AsyncGenerator<VerifyFinding> {
  for await (const organizationId of other.keys.organizationIds(signal, () => undefined)) {
    const name = other.keys.nameOf(organizationId);
    const damage = await damageOf(here, organizationId, signal);
    if (damage === undefined || (await damageOf(other, organizationId, signal)) !== undefined) continue;
    if (await isOfAnother(here, other, organizationId, signal)) continue;
    await here.store.put(name, await other.store.get(name, undefined, signal), { signal });
    yield { organizationId, kind: 'object', name, reason: damage };
  }
}

async function damageOf(repository: Repository, organizationId: string, signal?: AbortSignal): Promise<string | undefined> {
  try {
    await repository.keys.find(organizationId, signal);
    return undefined;
  } catch (error) {
    if (isRepositoryError(error, 'ORGANIZATION_KEY_DAMAGED')) return error.message;
    throw error;
  }
}

/** An organization that was shredded and begun anew has another key than the copies from before: put over the new one, that would destroy it. */
async function isOfAnother(here: Repository, other: Repository, organizationId: string, signal?: AbortSignal): Promise<boolean> {
  if (await isShredded(here.store, organizationId, signal)) return true;
  const name = here.keys.nameOf(organizationId);
  const beginning = (await here.keys.lookAt(name, signal))?.file.createdAt;
  return beginning !== undefined && beginning !== (await other.keys.lookAt(name, signal))?.file.createdAt;
}
