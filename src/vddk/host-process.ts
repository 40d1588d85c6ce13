import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex, Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { abortReason, type Logger, throwIfAborted } from '../common/index.js';
import type { Extent } from '../disk/index.js';
import { decodeExtents, encodeFrame, type Frame, FrameDecoder, FrameType } from './frames.js';
import { type VixFailure, VddkError, vixError } from './vddk-error.js';

const KEPT_LOG_LINES = 12;
/** VDDK 7 and later complain about the customer experience programme all the time (7.0.2 release notes); native/host keeps it out too. */
const NOISE = /phonehome|CEIP/i;
/** Exit of VDDK alone takes about a second. */
const EXIT_TIMEOUT_MS = 5_000;
/** A killed process that sits in the kernel must not hold its callers for ever. */
const KILL_TIMEOUT_MS = 10_000;
/** For what the library has been given when its caller gives up: a cancelled run ends within seconds, even where VDDK hangs. */
const ABORT_TIMEOUT_MS = 5_000;
/** For what is carried out all the same then: to detach a disk that HotAdd carried takes longer than to drop a request. */
const HURRY_TIMEOUT_MS = 20_000;
/** From the end of the process to the end of its standard error. */
const LAST_LINES_TIMEOUT_MS = 1_000;

export interface CallOptions {
  /** Ends "VDDK could not …". */
  activity: string;
  subject?: string | undefined;
  timeoutMs: number;
  onExtents?: (extents: Extent[]) => void;
  /** The host is done with this call; after an abort that is later than the rejection. */
  onSettled?: () => void;
  /** Of a call that undoes something and so is carried out all the same: once it fires, nobody waits long for it. */
  hurry?: AbortSignal | undefined;
  /** How long then; HURRY_TIMEOUT_MS where nothing else is said. */
  hurryMs?: number | undefined;
}

interface Pending extends CallOptions {
  resolve: (answer: Answer) => void;
  reject: (error: Error) => void;
  timer: NodeJS.Timeout;
}

export type Answer = Record<string, unknown>;

interface HostProcessOptions {
  libraryDir: string;
  temporaryDir: string;
  memoryFd: number;
}

/**
 * One vddk-host process and its calls. However it ends (death, silence, nonsense), every pending
 * and later call rejects with one and the same VddkError, and only after the process is gone or, where
 * killing it does not end it, was given up: `isReaped` tells. Until it is reaped it may still write to the shared memory.
 */
export class HostProcess {
  private readonly child: ChildProcess;
  /** Undefined where the process could not be started for want of a file descriptor: then Node makes no streams. */
  private readonly control: Duplex | undefined;
  private readonly decoder = new FrameDecoder();
  private readonly pending = new Map<number, Pending>();
  private readonly logLines: string[] = [];
  private readonly gone: Promise<void>;
  private nextId = 1;
  private failure: VddkError | undefined;
  private stopping = false;
  private ended = false;
  private reaped = false;
  private finishTimer: NodeJS.Timeout | undefined;
  private markGone: () => void = () => undefined;

  /** @throws VddkError where the kernel has no memory for another process. */
  constructor(
    executable: string,
    options: HostProcessOptions,
    private readonly log: Logger,
  ) {
    this.child = spawnHost(executable, options);
    // First of all: nothing else says that the start failed, and an error that nobody listens for ends the service.
    this.child.once('error', (cause) => {
      // There never was one.
      this.reaped ||= this.child.pid === undefined;
      this.finish(spawnError(this.child.spawnfile, cause));
    });
    this.control = (this.child.stdio as ChildProcess['stdio'] | undefined)?.[3] as Duplex | undefined;
    this.gone = new Promise((resolve) => {
      this.markGone = resolve;
    });
    this.watch();
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  get isAlive(): boolean {
    return !this.ended && !this.stopping && this.failure === undefined;
  }

  /** It has ended and can do nothing any more. Without it, one that was killed may sit in the kernel and finish what it had begun there. */
  get isReaped(): boolean {
    return this.reaped;
  }

  /**
   * Rejects at once when aborted; what the host answers soon after is handed to `onLate`. What it does not answer holds the
   * library's one thread, and so whatever undoes what this run did: the process is ended for it.
   */
  async call(request: object, options: CallOptions, signal?: AbortSignal, onLate?: (answer: Answer) => void): Promise<Answer> {
    const onSettled = options.onSettled ?? (() => undefined);
    if (signal?.aborted) {
      onSettled();
      throw abortReason(signal);
    }
    const { answered } = this.send(FrameType.request, Buffer.from(JSON.stringify(request)), options);
    answered.then(onSettled, onSettled);
    this.endUnlessSoon(answered, options, options.hurryMs ?? HURRY_TIMEOUT_MS, options.hurry);
    if (signal === undefined) return answered;
    this.endUnlessSoon(answered, options, ABORT_TIMEOUT_MS, signal);
    let onAbort: (() => void) | undefined;
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => {
        answered.then(onLate, () => undefined);
        reject(abortReason(signal));
      };
      signal.addEventListener('abort', onAbort, { once: true });
    });
    try {
      return await Promise.race([answered, aborted]);
    } finally {
      if (onAbort) signal.removeEventListener('abort', onAbort);
    }
  }

  /**
   * One batch of I/O. An abort drops what the library has not been given and waits a little for the rest, or ends the
   * process: only then may the memory be used again.
   */
  async batch(type: 3 | 4, disk: string, body: Buffer, options: CallOptions, signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    const { id, answered } = this.send(type, body, options);
    const onAbort = () => this.write(FrameType.request, 0, Buffer.from(JSON.stringify({ op: 'cancel', disk, batch: String(id) })));
    signal?.addEventListener('abort', onAbort, { once: true });
    this.endUnlessSoon(answered, options, ABORT_TIMEOUT_MS, signal);
    try {
      await answered;
    } catch (error) {
      if (signal?.aborted && (error as VddkError).code === 'VDDK_CANCELLED') throw abortReason(signal);
      throw error;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Ends the process where this is not answered within that time from the signal on. */
  private endUnlessSoon(answered: Promise<unknown>, call: CallOptions, timeoutMs: number, signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    let hanging: NodeJS.Timeout | undefined;
    const onAbort = () => {
      hanging = setTimeout(() => this.fail(silenceError({ ...call, timeoutMs }, [...this.logLines])), timeoutMs);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    const settled = () => {
      clearTimeout(hanging);
      signal.removeEventListener('abort', onAbort);
    };
    answered.then(settled, settled);
  }

  /** Asks the library to end (not when it never started), kills what does not. Resolves when the process is reaped or given up; never rejects. */
  async stop(started: boolean): Promise<void> {
    if (!this.stopping && !this.ended && this.failure === undefined) {
      this.stopping = true;
      const kill = () => {
        this.child.kill('SIGKILL');
        this.finishLater(KILL_TIMEOUT_MS, stoppedError('end'));
      };
      const timer = setTimeout(kill, started ? EXIT_TIMEOUT_MS : 0);
      if (started) this.write(FrameType.request, this.nextId++, Buffer.from('{"op":"exit"}'));
      await this.gone;
      clearTimeout(timer);
    }
    await this.gone;
  }

  private send(type: FrameType, body: Buffer, options: CallOptions): { id: number; answered: Promise<Answer> } {
    const id = this.nextId++;
    const answered = new Promise<Answer>((resolve, reject) => {
      if (this.ended || this.stopping || this.failure) {
        this.gone.then(() => reject(this.failure ?? stoppedError(options.activity)));
        return;
      }
      const timer = setTimeout(() => this.fail(silenceError(options, [...this.logLines])), options.timeoutMs);
      this.pending.set(id, { ...options, resolve, reject, timer });
      this.write(type, id, body);
    });
    return { id, answered };
  }

  private write(type: FrameType, id: number, body: Buffer): void {
    if (!this.ended && this.control?.writable) this.control.write(encodeFrame(type, id, body));
  }

  /** From the first trouble on this host is lost; the reason reported is the first one. */
  private fail(error: VddkError): void {
    this.failure ??= error;
    this.child.kill('SIGKILL');
    this.finishLater(KILL_TIMEOUT_MS, error);
  }

  private watch(): void {
    this.control?.on('data', (piece: Buffer) => this.receive(piece));
    const { stderr } = this.child as { stderr?: Readable | null };
    const lines = stderr ? createInterface({ input: stderr }) : undefined;
    // What is broken here shows as the end of the process, or as a start that failed, which say more.
    for (const source of [this.control, lines]) source?.on('error', () => undefined);
    lines?.on('line', (text) => this.logLine(text));
    this.control?.once('end', () => setTimeout(() => this.child.kill('SIGKILL'), EXIT_TIMEOUT_MS).unref());
    // 'close' comes after the last log line, which is often the one that explains the death.
    this.child.once('close', (code, signal) => this.finish(this.deathError(code, signal)));
    this.child.once('exit', (code, signal) => {
      this.reaped = true;
      this.finishLater(LAST_LINES_TIMEOUT_MS, this.deathError(code, signal));
    });
  }

  private finishLater(delayMs: number, error: VddkError): void {
    clearTimeout(this.finishTimer);
    this.finishTimer = setTimeout(() => this.finish(error), delayMs);
  }

  private finish(error: VddkError): void {
    clearTimeout(this.finishTimer);
    if (this.ended) return;
    this.ended = true;
    if (!this.stopping) this.failure ??= error;
    this.control?.destroy();
    this.child.stderr?.destroy();
    this.rejectAll();
    this.markGone();
  }

  private rejectAll(): void {
    const calls = [...this.pending.values()];
    this.pending.clear();
    for (const call of calls) {
      clearTimeout(call.timer);
      call.reject(this.failure ?? stoppedError(call.activity));
    }
  }

  private receive(piece: Buffer): void {
    if (this.ended || this.failure) return;
    try {
      for (const frame of this.decoder.push(piece)) this.dispatch(frame);
    } catch (cause) {
      this.fail(this.nonsenseError(cause));
    }
  }

  private dispatch(frame: Frame): void {
    const call = this.pending.get(frame.id);
    if (!call) {
      if (this.stopping && frame.type === FrameType.answer) return;
      throw new Error(`an answer to a question nobody asked (${frame.id})`);
    }
    call.timer.refresh();
    if (frame.type === FrameType.extents) call.onExtents?.(decodeExtents(frame.body));
    if (frame.type !== FrameType.answer) return;
    const answer = JSON.parse(frame.body.toString('utf8')) as Answer;
    if (answer.ok !== true && answer.ok !== false) throw new Error('an answer that says neither yes nor no');
    this.pending.delete(frame.id);
    clearTimeout(call.timer);
    if (answer.ok) call.resolve(answer);
    else call.reject(refusalError(call, answer));
  }

  private logLine(line: string): void {
    const [, level, text] = /^(info|warning|panic) (.*)$/.exec(line) ?? [undefined, 'info', line];
    const isNoise = NOISE.test(line);
    if (!isNoise) this.logLines.push(text ?? '');
    if (this.logLines.length > KEPT_LOG_LINES) this.logLines.shift();
    this.log[level === 'panic' ? 'error' : isNoise ? 'trace' : 'debug']({ vddk: text, level, pid: this.pid }, 'VDDK');
  }

  private deathError(code: number | null, signal: NodeJS.Signals | null): VddkError {
    const how = signal === null ? `with status ${code}` : `by signal ${signal}`;
    const during = [...this.pending.values()].map((call) => call.activity)[0];
    return new VddkError(
      `The VDDK process ended ${how}${during === undefined ? '' : ` while it was to ${during}`}. Its disks must be opened again`,
      {
        code: 'VDDK_HOST_DIED',
        retryable: true,
        subject: [...this.pending.values()][0]?.subject,
        details: { exitCode: code, signal, logLines: [...this.logLines] },
      },
    );
  }

  private nonsenseError(cause: unknown): VddkError {
    return new VddkError(
      'The VDDK process sent something that is not an answer, so it was ended. Rebuild native/build if the versions differ',
      {
        code: 'VDDK_HOST_PROTOCOL',
        details: { logLines: [...this.logLines] },
        cause,
      },
    );
  }
}

/** Works from src/ (tests) and from dist/src/ (the service): native/build lies beside package.json. */
export function builtHostExecutable(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); folder !== dirname(folder); folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    if (existsSync(manifest) && (JSON.parse(readFileSync(manifest, 'utf8')) as { name?: string }).name === 'vapp-vault') {
      return join(folder, 'native', 'build', 'vddk-host');
    }
  }
  throw new VddkError('The folder of vapp-vault, where native/build lies, was not found', { code: 'VDDK_HOST_MISSING' });
}

function refusalError(call: CallOptions, answer: Answer): VddkError {
  if (answer.kind === 'vix') return vixError(call.activity, call.subject, answer as unknown as VixFailure);
  const codes: Record<string, string> = { library: 'VDDK_LIBRARY', unsupported: 'VDDK_UNSUPPORTED', cancelled: 'VDDK_CANCELLED' };
  const code = codes[String(answer.kind)] ?? 'VDDK_HOST_REFUSED';
  return new VddkError(`VDDK could not ${call.activity}: ${String(answer.message)}`, { code, subject: call.subject });
}

function silenceError(call: CallOptions, logLines: string[]): VddkError {
  const seconds = Math.round(call.timeoutMs / 1000);
  return new VddkError(`VDDK did not ${call.activity} within ${seconds} s, so its process was ended. The copy can be tried again`, {
    code: 'VDDK_HOST_TIMEOUT',
    retryable: true,
    subject: call.subject,
    details: { timeoutMs: call.timeoutMs, logLines },
  });
}

function stoppedError(activity: string): VddkError {
  return new VddkError(`VDDK was stopped before it could ${activity}`, { code: 'VDDK_HOST_STOPPED' });
}

function spawnHost(executable: string, options: HostProcessOptions): ChildProcess {
  try {
    return spawn(executable, [], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', options.memoryFd],
      // Nothing of the service's environment: it may hold credentials, and VDDK has no use for it.
      env: {
        PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
        HOME: process.env.HOME ?? options.temporaryDir,
        LANG: 'C',
        LD_LIBRARY_PATH: `${join(options.libraryDir, 'lib64')}:${options.libraryDir}`,
      },
    });
  } catch (cause) {
    // Node throws some reasons, and emits the others ("error").
    throw spawnError(executable, cause as NodeJS.ErrnoException);
  }
}

/** These pass when other work ends, so the start may be tried again. */
const SCARCITIES: ReadonlyMap<string | undefined, string> = new Map([
  ['EMFILE', 'the service has no file descriptor left. Raise its limit of open files (LimitNOFILE), or let it do less at once'],
  ['ENFILE', 'this machine has no file descriptor left. Raise its limit (fs.file-max), or end what holds them'],
  ['EAGAIN', 'the service may have no more processes. Raise its limit (TasksMax, LimitNPROC), or let it do less at once'],
  ['ENOMEM', 'this machine has no memory left. Give it more, or let the service do less at once'],
]);

function spawnError(executable: string, cause: NodeJS.ErrnoException): VddkError {
  const scarcity = SCARCITIES.get(cause.code);
  if (scarcity !== undefined) {
    return new VddkError(`${executable} cannot be started: ${scarcity}`, {
      code: 'VDDK_HOST_NOT_STARTED',
      retryable: true,
      subject: executable,
      cause,
    });
  }
  return new VddkError(`${executable} cannot be started. Build it with \`npm run build\``, {
    code: 'VDDK_HOST_MISSING',
    subject: executable,
    cause,
  });
}
