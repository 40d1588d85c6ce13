import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { CutRequest, FailedRequest } from '../request-gate.js';
import { strike, type FaultRules } from '../vsphere/fault-rules.js';
import type { VcenterSessions } from '../vsphere/sessions.js';
import type { TaskBoard } from '../vsphere/tasks.js';
import { AnnouncedIo } from './announced-io.js';
import { NfcSessions } from './nfc-sessions.js';
import type { VsphereModel } from '../model/vsphere-model.js';
import { VixConnection } from './vix-connection.js';
import { VIX, VixFault } from './vix-fault.js';
import { text } from './vix-request.js';

export interface VixDoorOptions {
  model: VsphereModel;
  sessions: VcenterSessions;
  rules: FaultRules;
  tasks: TaskBoard;
  thumbprintSha1: string;
}

interface Client {
  connection: VixConnection;
  io: AnnouncedIo;
}

const MAGIC = 'VIXSIM/1';
/** Disks opened for writing by any connection: one writer at a time. */
export type WriteLocks = Map<string, VixConnection>;

export class VixDoor {
  private readonly locks: WriteLocks = new Map();
  private readonly nfc = new NfcSessions();
  /** Rules of the programming guide that clients broke, and what they left behind at their end, as their library tells. */
  readonly violations: string[] = [];
  private readonly connections = new Set<Promise<void>>();

  constructor(private readonly options: VixDoorOptions) {}

  accept(socket: Socket): void {
    const ended = new AbortController();
    socket.on('close', () => ended.abort());
    const done = this.serve(socket, ended.signal)
      .catch(() => undefined)
      .finally(() => {
        this.connections.delete(done);
        socket.destroy();
      });
    this.connections.add(done);
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.connections);
  }

  private async serve(socket: Socket, signal: AbortSignal): Promise<void> {
    const connection = new VixConnection(this.options, this.locks, this.nfc, this.violations);
    const io = new AnnouncedIo(this.options.rules.gate);
    const lines = createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY });
    // A destroyed socket has no end for readline to see; without this a dead client would keep its locks.
    socket.once('close', () => lines.close());
    let first = true;
    try {
      for await (const line of lines) {
        if (first) {
          if (line !== MAGIC) return;
          first = false;
          continue;
        }
        const answer = await this.answer({ connection, io }, line, signal);
        if (answer === undefined) return;
        socket.write(`${JSON.stringify(answer)}\n`);
        if (connection.ended) {
          socket.end();
          return;
        }
      }
    } finally {
      io.close();
      connection.release();
    }
  }

  private async perform({ connection, io }: Client, request: VixRequest, object: string): Promise<Record<string, unknown>> {
    const { op } = request;
    const { gate } = this.options.rules;
    if (STANDIN_ONLY.has(op)) return connection.perform(request);
    let answer: Record<string, unknown> = {};
    try {
      if (op === 'beginIo') return await io.begin(text(request, 'kind'), object);
      if (op === 'endIo') {
        await io.end(text(request, 'number'));
        return {};
      }
      return await gate.pass({ door: 'vix', method: op, object }, async () => {
        answer = await connection.perform(request);
        return op === 'open' ? { ...answer, announceIo: gate.isWatching } : answer;
      });
    } catch (error) {
      if (!(error instanceof FailedRequest)) throw error;
      // Whoever is told that Open failed has no handle to close.
      if (typeof answer.handle === 'string') await connection.perform({ op: 'close', handle: answer.handle });
      throw new VixFault(VIX.fail, 'Unknown error');
    }
  }

  /** Undefined: cut the connection. */
  private async answer(client: Client, line: string, signal: AbortSignal): Promise<Record<string, unknown> | undefined> {
    const { connection } = client;
    const started = performance.now();
    const startedAt = new Date().toISOString();
    let op = '?';
    let object = '';
    let outcome = 'ok';
    try {
      const request = parseRequest(line);
      op = request.op;
      object = typeof request.path === 'string' ? request.path : (connection.vmMoRef ?? (typeof request.vm === 'string' ? request.vm : ''));
      const rule = this.options.rules.match('vix', op, [object, connection.vmMoRef ?? ''], ['vixError', 'drop', 'delay', 'hang', 'fault']);
      if (rule?.effect === 'vixError') throw new VixFault(rule.vixError ?? 1, rule.message ?? 'Injected fault');
      if (await strike(rule, signal)) {
        outcome = 'drop';
        return undefined;
      }
      return { ok: true, ...(await this.perform(client, request, object)) };
    } catch (error) {
      if (error instanceof CutRequest) {
        outcome = 'drop';
        return undefined;
      }
      const fault = error instanceof VixFault ? error : new VixFault(1, error instanceof Error ? error.message : String(error));
      outcome = `vixError ${fault.vixError}`;
      return { ok: false, vixError: fault.vixError, message: fault.message };
    } finally {
      this.options.rules.log({ door: 'vix', method: op, object, startedAt, ms: performance.now() - started, outcome });
    }
  }
}

/** Between the stand-in and this door only: VDDK says nothing of the kind to a vCenter. */
const STANDIN_ONLY = new Set(['hello', 'violations', 'bye']);

export type VixRequest = { op: string } & Record<string, unknown>;

function parseRequest(line: string): VixRequest {
  let request: unknown;
  try {
    request = JSON.parse(line);
  } catch {
    throw new VixFault(3, 'The request is not JSON');
  }
  if (typeof request !== 'object' || request === null || typeof (request as VixRequest).op !== 'string')
    throw new VixFault(3, 'The request has no op');
  return request as VixRequest;
}
