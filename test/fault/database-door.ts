import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type NetConnectOpts, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { FailedRequest, type GatedRequest, type RequestGate } from '../simulator/request-gate.js';
import { type Change, changeOf, commits } from './database-statements.js';
import type { Door, OpenDoor } from './door.js';
import { fatalError, type Frame, FrameReader, GSS_REQUEST, rowsOf, SSL_REQUEST, startupCode, textsOf } from './postgres-frames.js';

const DEFAULT_PORT = 5432;

/**
 * Stands between a worker and PostgreSQL. Each statement that changes something by itself is a step, and so is the COMMIT of each
 * transaction that changed something: what a transaction did before has happened when its COMMIT has, and else never.
 *
 * A COMMIT is named by the tables it makes durable. What was cut off has the connection cut with it, as by a network or a server that
 * went away; what failed late was carried out, and the answer is that the server is shutting down (57P01).
 */
export class DatabaseDoor implements Door {
  private readonly conversations = new Set<Conversation>();

  private constructor(
    private readonly server: Server,
    private readonly url: string,
  ) {}

  static async open(gate: RequestGate, databaseUrl: string): Promise<DatabaseDoor> {
    const target = targetOf(databaseUrl);
    const server = createServer({ noDelay: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = new URL(databaseUrl);
    url.searchParams.delete('host');
    url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const door = new DatabaseDoor(server, url.href);
    server.on('connection', (client) => {
      const conversation = new Conversation(client, connect(target), gate);
      door.conversations.add(conversation);
      client.once('close', () => door.conversations.delete(conversation));
    });
    return door;
  }

  get environment(): Record<string, string> {
    return { VAPP_VAULT_DATABASE_URL: this.url };
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    for (const conversation of this.conversations) conversation.cut();
    await closed;
  }
}

/** As pg reads it: the folder of a UNIX socket is in `host`. */
function targetOf(databaseUrl: string): NetConnectOpts {
  const url = new URL(databaseUrl);
  const port = url.port === '' ? DEFAULT_PORT : Number(url.port);
  const folder = url.searchParams.get('host');
  if (folder?.startsWith('/')) return { path: join(folder, `.s.PGSQL.${port}`) };
  return { host: folder ?? url.hostname, port };
}

interface Exchange {
  readonly answer: Buffer[];
  readonly sql: string;
  resolve(answer: Buffer): void;
  reject(error: Error): void;
}

/** One connection. Its statements go one after the other: pg sends none before the last is answered. */
class Conversation {
  private readonly fromClient = new FrameReader(true);
  private readonly fromServer = new FrameReader(false);
  /** What was prepared, by name. */
  private readonly prepared = new Map<string, string>();
  private batch: Buffer[] = [];
  private batchSql = '';
  private exchange: Exchange | undefined;
  private inTransaction = false;
  /** What the open transaction has changed. */
  private readonly changed: Change[] = [];
  private turn: Promise<void> = Promise.resolve();

  constructor(
    private readonly client: Socket,
    private readonly server: Socket,
    private readonly gate: RequestGate,
  ) {
    client.on('data', (chunk) => {
      for (const frame of this.fromClient.read(chunk)) this.take(frame);
    });
    server.on('data', (chunk) => {
      for (const frame of this.fromServer.read(chunk)) this.answer(frame);
    });
    // A request of a client that was killed may be on its way still: the server's side ends after what is held.
    client.once('close', () => {
      this.turn = this.turn.finally(() => server.destroy());
    });
    server.once('close', () => this.cut());
    client.on('error', () => this.client.destroy());
    server.on('error', () => this.cut());
  }

  cut(): void {
    this.exchange?.reject(new Error('The connection to PostgreSQL has ended'));
    this.exchange = undefined;
    this.client.destroy();
    this.server.destroy();
  }

  private take(frame: Frame): void {
    if (frame.type === '' && [SSL_REQUEST, GSS_REQUEST].includes(startupCode(frame.body))) {
      this.client.write('N');
      return;
    }
    // Of one statement: Parse, Bind, Describe, Execute, Sync; or one Query.
    if (frame.type === 'P') {
      const [name = '', sql = ''] = textsOf(frame.body, 2);
      this.prepared.set(name, sql);
    } else if (frame.type === 'B') this.batchSql = this.prepared.get(textsOf(frame.body, 2)[1] ?? '') ?? '';
    else if (frame.type === 'Q') this.batchSql = textsOf(frame.body, 1)[0] ?? '';
    else if (!['D', 'E', 'C', 'H', 'S'].includes(frame.type)) {
      this.server.write(frame.bytes);
      return;
    }
    this.batch.push(frame.bytes);
    if (frame.type !== 'Q' && frame.type !== 'S') return;
    const [bytes, sql] = [Buffer.concat(this.batch), this.batchSql];
    this.batch = [];
    this.batchSql = '';
    this.turn = this.turn.then(() => this.pass(bytes, sql));
  }

  private async pass(bytes: Buffer, sql: string): Promise<void> {
    const work = () => this.carryOut(bytes, sql);
    const step = this.stepOf(sql);
    try {
      this.client.write(step === undefined ? await work() : await this.gate.pass(step, work));
    } catch (error) {
      if (error instanceof FailedRequest) this.client.end(fatalError('57P01', 'terminating connection due to administrator command'));
      else this.client.destroy();
      this.cutServer();
    }
  }

  private stepOf(sql: string): GatedRequest | undefined {
    if (this.inTransaction) {
      if (!commits(sql) || this.changed.length === 0) return undefined;
      const tables = new Set(this.changed.map(({ table }) => table));
      return { door: 'database', method: 'COMMIT', object: [...tables].join(' + ') };
    }
    const change = changeOf(sql);
    return change && { door: 'database', method: change.verb, object: change.table };
  }

  private carryOut(bytes: Buffer, sql: string): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.server.destroyed) {
        reject(new Error('The connection to PostgreSQL has ended'));
        return;
      }
      this.exchange = { answer: [], sql, resolve, reject };
      this.server.write(bytes);
    });
  }

  private answer(frame: Frame): void {
    const { exchange } = this;
    if (exchange === undefined) {
      // Of the startup, or a notice nobody asked for.
      this.client.write(frame.bytes);
      return;
    }
    exchange.answer.push(frame.bytes);
    if (frame.type === 'C') this.note(exchange.sql, textsOf(frame.body, 1)[0] ?? '');
    if (frame.type !== 'Z') return;
    // ReadyForQuery says where the connection stands: I(dle), in a T(ransaction), in one that E(rred).
    this.inTransaction = frame.body.toString('latin1') !== 'I';
    if (!this.inTransaction) this.changed.length = 0;
    this.exchange = undefined;
    exchange.resolve(Buffer.concat(exchange.answer));
  }

  private note(sql: string, tag: string): void {
    const change = changeOf(sql);
    if (change !== undefined && rowsOf(tag) > 0) this.changed.push(change);
  }

  private cutServer(): void {
    this.exchange = undefined;
    this.server.destroy();
  }
}

export const openDatabaseDoor: OpenDoor = (gate, { databaseUrl }) => DatabaseDoor.open(gate, databaseUrl);
