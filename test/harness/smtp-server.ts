import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';

export interface Mail {
  from: string;
  to: string[];
  /** Headers and body as they came over the wire. */
  text: string;
  secure: boolean;
  /** Who logged in, if anybody. */
  user: string | undefined;
}

interface Credentials {
  userName: string;
  password: string;
}

/**
 * A mail server of the commands a submission needs (RFC 5321, STARTTLS of RFC 3207, AUTH PLAIN of RFC 4954), on three ports:
 * with STARTTLS, with TLS from the first byte, and one that offers no TLS at all.
 */
export class SmtpServer {
  readonly mails: Mail[] = [];
  /** Addresses that are not taken. */
  readonly strangers = new Set<string>();
  private readonly sockets = new Set<Socket>();
  private servers: Server[] = [];

  private constructor(
    private readonly tls: { key: string; cert: string },
    private readonly credentials: Credentials,
  ) {}

  static async start(tls: { key: string; cert: string }, credentials: Credentials): Promise<SmtpServer> {
    const server = new SmtpServer(tls, credentials);
    server.servers = [
      createServer((socket) => server.serve(socket, true)),
      createTlsServer(tls, (socket) => server.serve(socket, false)),
      createServer((socket) => server.serve(socket, false)),
    ];
    for (const each of server.servers) {
      each.listen(0, '127.0.0.1');
      await once(each, 'listening');
    }
    return server;
  }

  get port(): number {
    return this.portOf(0);
  }

  get tlsPort(): number {
    return this.portOf(1);
  }

  get plainPort(): number {
    return this.portOf(2);
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await Promise.all(this.servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }

  private portOf(index: number): number {
    const server = this.servers[index];
    if (server === undefined) throw new RangeError(`There is no port ${index}`);
    return (server.address() as AddressInfo).port;
  }

  private serve(socket: Socket, offersTls: boolean): void {
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    // A client that refuses the certificate cuts the connection.
    socket.on('error', () => undefined);
    socket.write('220 mail.example.com ESMTP\r\n');
    this.converse(socket, offersTls, socket instanceof TLSSocket);
  }

  private converse(socket: Socket, offersTls: boolean, secure: boolean): void {
    let text = '';
    let data: string | undefined;
    let mail = newMail(secure, undefined);
    const answers: Record<string, (line: string) => string> = {
      EHLO: () => `250-mail.example.com\r\n${offersTls && !secure ? '250-STARTTLS\r\n' : ''}250 AUTH PLAIN`,
      AUTH: (line) => {
        const [, user, password] = Buffer.from(line.split(' ')[2] ?? '', 'base64')
          .toString('utf8')
          .split('\0');
        if (user !== this.credentials.userName || password !== this.credentials.password) return `535 5.7.8 ${user} with ${password}: no`;
        mail = newMail(secure, user);
        return '235 2.7.0 welcome';
      },
      MAIL: (line) => {
        mail.from = addressIn(line);
        return '250 2.1.0 ok';
      },
      RCPT: (line) => {
        if (this.strangers.has(addressIn(line))) return '550 5.1.1 nobody of that name';
        mail.to.push(addressIn(line));
        return '250 2.1.5 ok';
      },
      DATA: () => {
        data = '';
        return '354 go on';
      },
      QUIT: () => '221 bye',
    };
    const onData = (bytes: Buffer) => {
      text += bytes.toString('utf8');
      for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
        const line = text.slice(0, end);
        text = text.slice(end + 2);
        if (data !== undefined) {
          if (line !== '.') {
            data += `${line.replace(/^\.\./, '.')}\r\n`;
            continue;
          }
          this.mails.push({ ...mail, text: data });
          data = undefined;
          socket.write('250 2.0.0 taken\r\n');
          continue;
        }
        const verb = line.split(' ')[0]?.toUpperCase() ?? '';
        if (verb === 'STARTTLS' && offersTls && !secure) {
          socket.write('220 2.0.0 begin\r\n');
          socket.off('data', onData);
          const upgraded = new TLSSocket(socket, { isServer: true, ...this.tls });
          upgraded.on('error', () => undefined);
          this.converse(upgraded, offersTls, true);
          return;
        }
        socket.write(`${answers[verb]?.(line) ?? '502 5.5.1 not here'}\r\n`);
        if (verb === 'QUIT') socket.end();
      }
    };
    socket.on('data', onData);
  }
}

function newMail(secure: boolean, user: string | undefined): Mail {
  return { from: '', to: [], text: '', secure, user };
}

function addressIn(line: string): string {
  return /<([^>]*)>/.exec(line)?.[1] ?? '';
}
