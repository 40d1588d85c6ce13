import { VaultError } from '../../../src/common/index.js';
import { mutate, SeededRandom } from './mutate.js';

/** A parser of ours, and inputs that it takes. */
export interface FuzzTarget {
  name: string;
  /** Made by the code that writes the format. */
  corpus(): Promise<readonly Buffer[]>;
  /** Does with an input what the product does. @throws what the product would: one clear error, or it is a finding. */
  run(input: Buffer): Promise<void> | void;
}

export interface FuzzReport {
  inputs: number;
  /** How many were taken, as a sign that not all are refused at the first byte. */
  accepted: number;
}

/** What a parser may ask for at a time, whatever a length field says. */
const LARGEST_ALLOCATION_BYTES = 300 * 1024 * 1024;
/** A hang, on however busy a machine. */
const LONGEST_RUN_MS = 60_000;

export class FuzzFinding extends Error {
  constructor(
    readonly target: string,
    readonly input: Buffer,
    reason: string,
    cause: unknown,
  ) {
    super(`${target}: ${reason}`, { cause });
  }
}

/** Tries inputs until the time or their number is used up. @throws FuzzFinding for the first that breaks the rules. */
export async function fuzz(target: FuzzTarget, limits: { seconds: number; seed: string; inputs?: number }): Promise<FuzzReport> {
  const corpus = await target.corpus();
  const random = new SeededRandom(`${target.name} ${limits.seed}`);
  const report: FuzzReport = { inputs: 0, accepted: 0 };
  const end = performance.now() + limits.seconds * 1000;
  for (const input of corpus.slice(0, limits.inputs)) {
    if (!(await attempt(target, input))) throw new FuzzFinding(target.name, input, 'an input of the corpus is refused', undefined);
  }
  const most = limits.inputs ?? Number.POSITIVE_INFINITY;
  while (report.inputs === 0 || (performance.now() < end && report.inputs < most)) {
    const input = mutate(random, random.pick(corpus), corpus);
    report.inputs += 1;
    if (await attempt(target, input)) report.accepted += 1;
  }
  return report;
}

/** @returns whether the input was taken. */
async function attempt(target: FuzzTarget, input: Buffer): Promise<boolean> {
  const given = Buffer.from(input);
  const watched = watchAllocations();
  const startedMs = performance.now();
  const error = await Promise.resolve()
    .then(() => target.run(given))
    .then(
      () => undefined,
      (thrown: unknown) => thrown ?? new Error('nothing was thrown'),
    );
  watched.end();
  const finding = (reason: string) => new FuzzFinding(target.name, input, reason, error);
  if (error !== undefined && !isClear(error)) throw finding(`another error than ours: ${String((error as Error).stack)}`);
  if (watched.largestBytes > LARGEST_ALLOCATION_BYTES + input.length * 8)
    throw finding(`it asked for ${watched.largestBytes} bytes at once`);
  if (performance.now() - startedMs > LONGEST_RUN_MS) throw finding('it took too long');
  return error === undefined;
}

/** Ours, or what a decoder says of bytes, in words of ours and not in Node's. */
function isClear(error: unknown): boolean {
  if (error instanceof VaultError) return error.message.length > 20 && !/undefined|\[object|NaN/.test(error.message);
  return error instanceof RangeError && /^its? /.test(error.message);
}

/** What Node's buffers are asked for meanwhile; memory that is never touched counts too. */
function watchAllocations(): { largestBytes: number; end: () => void } {
  const originals = { alloc: Buffer.alloc, allocUnsafe: Buffer.allocUnsafe, allocUnsafeSlow: Buffer.allocUnsafeSlow };
  const watch = { largestBytes: 0, end: () => void Object.assign(Buffer, originals) };
  for (const [name, original] of Object.entries(originals)) {
    const watched = (bytes: number, ...rest: never[]) => {
      watch.largestBytes = Math.max(watch.largestBytes, bytes);
      return (original as (bytes: number, ...rest: never[]) => Buffer).call(Buffer, bytes, ...rest);
    };
    Object.assign(Buffer, { [name]: watched });
  }
  return watch;
}
