import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type RecordedExchange, withoutSecrets } from '../vcd/index.js';

export interface LoggedRequest {
  number: number;
  door: string;
  method: string;
  path: string;
  status: number;
}

const KEPT_REQUESTS = 20_000;

/** The requests of all doors: a list for tests, and, where a folder is given, every body in a file, secrets removed. */
export class RequestLog {
  private readonly requests: LoggedRequest[] = [];
  private count = 0;

  constructor(private readonly directory: string | undefined) {
    if (directory !== undefined) mkdirSync(directory, { recursive: true });
  }

  readonly add = (exchange: RecordedExchange): void => {
    this.count += 1;
    const { door, method, path, status } = exchange;
    this.requests.push({ number: this.count, door, method, path, status });
    if (this.requests.length > KEPT_REQUESTS) this.requests.splice(0, this.requests.length - KEPT_REQUESTS);
    if (this.directory !== undefined) this.write(this.directory, exchange);
  };

  list(since = 0): LoggedRequest[] {
    return this.requests.filter((request) => request.number > since);
  }

  /** Bodies as they are, so that a validator can take them; what belongs to them stands in index.jsonl. */
  private write(directory: string, exchange: RecordedExchange): void {
    const { door, method, path, status } = exchange;
    const number = String(this.count).padStart(6, '0');
    const name = `${number}-${door}-${method}${path.replace(/[^A-Za-z0-9._-]+/g, '_').slice(0, 120)}`;
    const request = writeBody(directory, `${name}.request`, withoutSecrets(exchange.requestBody));
    const response = writeBody(directory, `${name}.response-${status}`, withoutSecrets(exchange.responseBody));
    const line = {
      number: this.count,
      door,
      method,
      path,
      status,
      request,
      response,
      requestHeaders: withoutSecretHeaders(exchange.requestHeaders),
      responseHeaders: withoutSecretHeaders(exchange.responseHeaders),
    };
    appendFileSync(join(directory, 'index.jsonl'), `${JSON.stringify(line)}\n`);
  }
}

/** @returns the file's name; null for an empty body, which gets no file. */
function writeBody(directory: string, name: string, body: string): string | null {
  if (body === '') return null;
  const start = body.trimStart()[0];
  const file = `${name}.${start === '<' ? 'xml' : start === '{' || start === '[' ? 'json' : 'txt'}`;
  writeFileSync(join(directory, file), body);
  return file;
}

const SECRET_HEADERS = /^(authorization|cookie|set-cookie|.*token|x-vcloud-authorization|vmware-api-session-id)$/i;

function withoutSecretHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, SECRET_HEADERS.test(name) && !/token-type$/i.test(name) ? '[removed]' : value]),
  );
}
