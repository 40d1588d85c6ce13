import { VcdError } from '../vcd/index.js';

/** @returns undefined where the vApp that `work` is about is not there any more. */
export async function unlessVappGone<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof VcdError && error.code === 'VAPP_NOT_FOUND') return undefined;
    throw error;
  }
}
