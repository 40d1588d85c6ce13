import { lookup } from 'node:dns/promises';
import { setMaxListeners } from 'node:events';
import { connect } from 'node:net';
import { inParallel } from '../../common/index.js';

/** NFC: what nbd and nbdssl speak with ESXi. */
export const NFC_PORT = 902;
const PARALLEL = 16;
const DNS_TIMEOUT_MS = 5_000;
const CONNECT_TIMEOUT_MS = 3_000;

export interface HostProblem {
  name: string;
  problem: string;
}

/**
 * Whether this machine can open a connection to each host, by the name vCenter has for it: so VDDK will.
 * @returns those it cannot, in the order of `names`. What was not reached when the signal fires is among them.
 */
export async function unreachableHosts(names: readonly string[], port: number, signal: AbortSignal): Promise<HostProblem[]> {
  const never = new AbortController().signal;
  const limit = AbortSignal.any([signal]);
  // Every connection under way listens to it: Node's warning at eleven is for leaks.
  setMaxListeners(PARALLEL, limit);
  const problems = await inParallel(names, PARALLEL, never, async (name) => ({ name, problem: await problemWith(name, port, limit) }));
  return problems.flatMap(({ name, problem }) => (problem === undefined ? [] : [{ name, problem }]));
}

async function problemWith(name: string, port: number, signal: AbortSignal): Promise<string | undefined> {
  if (signal.aborted) return 'not looked at: there was not time enough';
  const address = await within(DNS_TIMEOUT_MS, lookup(name)).catch((error: NodeJS.ErrnoException) => error);
  if (address instanceof Error) return `its name does not resolve (${address.code ?? address.message})`;
  return new Promise((resolve) => {
    const socket = connect({ host: address.address, port });
    const end = (problem: string | undefined) => {
      socket.destroy();
      signal.removeEventListener('abort', onAbort);
      resolve(problem);
    };
    const onAbort = () => end(`TCP ${port} at ${address.address} did not answer in time`);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => end(`TCP ${port} at ${address.address} does not answer: check the firewalls`));
    socket.once('connect', () => end(undefined));
    socket.once('error', (error: NodeJS.ErrnoException) =>
      end(`TCP ${port} at ${address.address} refuses (${error.code ?? error.message})`),
    );
  });
}

/** The system's resolver takes no signal and may take its time. */
async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(Object.assign(new Error('no answer'), { code: 'ETIMEOUT' })), timeoutMs);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
