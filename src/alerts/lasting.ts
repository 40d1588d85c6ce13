import type { AlertSource } from './types.js';

/**
 * A source whose facts count only where this process found something in looks that are `settleMs` apart, and in all between: after an
 * outage what has waited is about to be taken up, and a process that looks first would tell of it, and then that it is over. Until then
 * it says nothing, neither that something is wrong nor that all is well: another process may have told of it.
 */
export function lasting(look: AlertSource, settleMs: number, nowMs: () => number = () => performance.now()): AlertSource {
  let foundMs: number | undefined;
  return async (signal) => {
    const earlierMs = foundMs;
    // Also where the source cannot answer: what was found before that is of another time.
    foundMs = undefined;
    const facts = await look(signal);
    if (facts === undefined || facts.length === 0) return facts;
    foundMs = earlierMs ?? nowMs();
    return nowMs() - foundMs >= settleMs ? facts : undefined;
  };
}
