import { setMaxListeners } from 'node:events';

export interface JoinedSignal {
  readonly signal: AbortSignal;
  /** To be called when nobody needs it any more: it does not fire then, and its sources forget it. */
  letGo: () => void;
}

/**
 * Fires with the first of several. Of what AbortSignal.any makes, each source keeps a trace for as long as it lives (Node 20):
 * for a signal of the process, one for every window of every copy.
 */
export function joinSignals(...sources: (AbortSignal | undefined)[]): JoinedSignal {
  const controller = new AbortController();
  const heard: (() => void)[] = [];
  const letGo = () => {
    for (const forget of heard.splice(0)) forget();
  };
  // All that runs at once listens to it, and so to its sources: Node's warning at eleven is for leaks.
  setMaxListeners(0, controller.signal);
  for (const source of sources) {
    if (source === undefined || controller.signal.aborted) continue;
    const onAbort = () => {
      letGo();
      controller.abort(source.reason);
    };
    if (source.aborted) {
      onAbort();
      continue;
    }
    setMaxListeners(0, source);
    source.addEventListener('abort', onAbort, { once: true });
    heard.push(() => source.removeEventListener('abort', onAbort));
  }
  return { signal: controller.signal, letGo };
}
