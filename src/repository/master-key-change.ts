import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { DESCRIPTION_NAME, checkDescription, encodeDescription, isMasterKeyOf, readDescription } from './description.js';
import { RepositoryError, isRepositoryError } from './errors.js';
import { KeyRing } from './key-ring.js';
import { checkMasterKey, deriveKey, masterKeyCheck } from './keys.js';
import { uuidToBytes } from './format.js';
import type { BlobStore } from './types.js';

const RECOVERY_NAME = 'recovery.json';
const RECOVERY_PREFIX = 'vvrk1';

/**
 * Changes the master key: the organizations' keys are wrapped anew, no pack is touched. Interrupted
 * anywhere, exactly one of the two keys opens the repository, and the same call again finishes it.
 * The recovery key of the former master key is void afterwards.
 * @returns how many keys were wrapped anew.
 * @throws RepositoryError WRONG_MASTER_KEY when neither is the repository's, ORGANIZATION_KEY_DAMAGED.
 */
export async function changeMasterKey(
  store: BlobStore,
  keys: { formerKey: Buffer; newKey: Buffer },
  signal?: AbortSignal,
): Promise<{ organizations: number }> {
  checkMasterKey(keys.newKey);
  const description = await readDescription(store);
  const { repositoryId } = description;
  const former = new KeyRing(store, keys.formerKey, repositoryId);
  const next = new KeyRing(store, keys.newKey, repositoryId);
  if (!isMasterKeyOf(description, keys.newKey)) {
    checkDescription(description, keys.formerKey);
    await former.addWrapping(next, signal);
    // The one instant of the change: before it the former key opens everything, after it the new one.
    const check = masterKeyCheck(keys.newKey, repositoryId).toString('hex');
    await store.put(DESCRIPTION_NAME, encodeDescription({ ...description, masterKeyCheck: check }), { signal });
  }
  const organizations = await next.dropOtherWrappings(former, signal);
  await store.delete(RECOVERY_NAME, signal).catch((error: unknown) => {
    if (!isRepositoryError(error, 'BLOB_NOT_FOUND')) throw error;
  });
  return { organizations };
}

/**
 * For a start with both keys: changes the master key where it was not, or not to the end.
 * @returns whether there was anything to do.
 * @throws RepositoryError WRONG_MASTER_KEY when neither is the repository's.
 */
export async function completeMasterKeyChange(
  store: BlobStore,
  keys: { formerKey: Buffer; newKey: Buffer },
  signal?: AbortSignal,
): Promise<boolean> {
  const description = await readDescription(store);
  const next = new KeyRing(store, keys.newKey, description.repositoryId);
  if (isMasterKeyOf(description, keys.newKey) && (await next.isOnlyKey(signal))) return false;
  await changeMasterKey(store, keys, signal);
  return true;
}

/**
 * Makes a recovery key, which opens the master key should that be lost; a former one is void.
 * @returns its text, to be kept on paper. It is stored nowhere.
 */
export async function writeRecoveryKey(store: BlobStore, masterKey: Buffer, signal?: AbortSignal): Promise<string> {
  const description = await readDescription(store);
  checkDescription(description, masterKey);
  const recoveryKey = randomBytes(32);
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', recoveryWrappingKey(recoveryKey, description.repositoryId), nonce);
  cipher.setAAD(recoveryAad(description.repositoryId));
  const ciphertext = Buffer.concat([cipher.update(masterKey), cipher.final()]);
  const parts = { nonce, ciphertext, tag: cipher.getAuthTag() };
  const wrappedMasterKey = Object.fromEntries(Object.entries(parts).map(([name, bytes]) => [name, bytes.toString('base64')]));
  await store.put(RECOVERY_NAME, Buffer.from(`${JSON.stringify({ formatVersion: 1, wrappedMasterKey }, undefined, 2)}\n`), { signal });
  return [RECOVERY_PREFIX, ...(recoveryKey.toString('hex').match(/.{8}/g) ?? []), checksum(recoveryKey)].join('-');
}

/**
 * @param text as writeRecoveryKey answered it; spaces and case do not matter.
 * @throws RepositoryError RECOVERY_KEY_INVALID (a typing error), RECOVERY_KEY_WRONG.
 */
export async function recoverMasterKey(store: BlobStore, text: string, signal?: AbortSignal): Promise<Buffer> {
  const recoveryKey = parseRecoveryKey(text);
  const description = await readDescription(store);
  try {
    const file = JSON.parse((await store.get(RECOVERY_NAME, undefined, signal)).toString('utf8'));
    const part = (name: string) => Buffer.from(file.wrappedMasterKey[name], 'base64');
    const key = recoveryWrappingKey(recoveryKey, description.repositoryId);
    const decipher = createDecipheriv('aes-256-gcm', key, part('nonce'), { authTagLength: 16 });
    decipher.setAAD(recoveryAad(description.repositoryId)).setAuthTag(part('tag'));
    const masterKey = Buffer.concat([decipher.update(part('ciphertext')), decipher.final()]);
    checkDescription(description, masterKey);
    return masterKey;
  } catch (cause) {
    if (cause instanceof RepositoryError && !isRepositoryError(cause, 'BLOB_NOT_FOUND', 'WRONG_MASTER_KEY')) throw cause;
    const { repositoryId } = description;
    const sentence = isRepositoryError(cause, 'BLOB_NOT_FOUND')
      ? `Repository ${repositoryId} has no ${RECOVERY_NAME}: it is lost, and a copy may be put back, or no recovery key was made since the last change of the master key`
      : `The recovery key does not open ${RECOVERY_NAME} of repository ${repositoryId}: the key belongs to another or was replaced, or the file is damaged, and a copy may be put back`;
    throw new RepositoryError(sentence, { code: 'RECOVERY_KEY_WRONG', subject: RECOVERY_NAME, cause });
  }
}

function parseRecoveryKey(text: string): Buffer {
  const [prefix, ...groups] = text
    .trim()
    .toLowerCase()
    .split(/[\s-]+/);
  const recoveryKey = Buffer.from(groups.slice(0, 8).join(''), 'hex');
  if (prefix === RECOVERY_PREFIX && groups.length === 9 && recoveryKey.length === 32 && groups[8] === checksum(recoveryKey))
    return recoveryKey;
  throw new RepositoryError(
    `That is no recovery key: it begins with ${RECOVERY_PREFIX} and has 9 groups of 8 digits; look for a typing error`,
    {
      code: 'RECOVERY_KEY_INVALID',
    },
  );
}

function checksum(recoveryKey: Buffer): string {
  return createHash('sha256').update(recoveryKey).digest('hex').slice(0, 8);
}

function recoveryWrappingKey(recoveryKey: Buffer, repositoryId: string): Buffer {
  return deriveKey(recoveryKey, uuidToBytes(repositoryId), 'recovery');
}

function recoveryAad(repositoryId: string): Buffer {
  return Buffer.from(`vapp-vault master key\0${repositoryId}`);
}
