import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withoutSecrets } from './secrets.js';
import type { RecordedExchange } from './server.js';
import type { Variants } from './variants.js';

/** Names the folder every cell of a test run records into; unset: nothing is recorded. */
export const RECORD_DIR_VARIABLE = 'VAPP_VAULT_RECORD_DIR';

/** One line of index.jsonl for each body that was new. */
export interface RecordedBody {
  /** In the folder; named after its content. */
  file: string;
  kind: 'request' | 'response';
  method: string;
  /** Without ids. */
  path: string;
  /** 0 where the answer was a spec's own. */
  status: number;
  /** The product's own request; others that were answered with an error may be wrong on purpose. */
  fromService: boolean;
}

/**
 * The XML bodies of many cells, in many processes, one file for each shape: bodies that differ in ids, addresses and
 * times only are one. What a variant adds on purpose that no schema knows is left out.
 */
export class BodyRecord {
  private readonly known = new Set<string>();

  private constructor(private readonly directory: string) {
    mkdirSync(directory, { recursive: true });
  }

  static ofEnvironment(): BodyRecord | undefined {
    const directory = process.env[RECORD_DIR_VARIABLE];
    return directory === undefined || directory === '' ? undefined : new BodyRecord(directory);
  }

  add(exchange: RecordedExchange, variants: Variants): void {
    if (variants.unknownContent === 'added') return;
    const fromService = exchange.requestHeaders['x-vmware-vcloud-client-request-id']?.startsWith('vapp-vault-') === true;
    if (exchange.status < 400 || fromService) this.keep(exchange, 'request', exchange.requestBody, fromService);
    this.keep(exchange, 'response', exchange.responseBody, fromService);
  }

  /** What the service sent to a cell that only plays its part: the answers there are the spec's own. */
  addRequest(request: Pick<RecordedExchange, 'method' | 'path'> & { body: string }): void {
    this.keep({ ...request, status: 0 }, 'request', request.body, true);
  }

  private keep(
    { method, path, status }: Pick<RecordedExchange, 'method' | 'path' | 'status'>,
    kind: RecordedBody['kind'],
    body: string,
    fromService: boolean,
  ): void {
    if (!body.trimStart().startsWith('<')) return;
    const shape = `${kind} ${fromService} ${withoutIds(body)}`;
    const name = createHash('sha256').update(shape).digest('hex').slice(0, 32);
    if (this.known.has(name)) return;
    this.known.add(name);
    const file = `${name}.xml`;
    // Another process of the run may have had the same; twice the same content does no harm.
    if (existsSync(join(this.directory, file))) return;
    writeFileSync(join(this.directory, file), withoutSecrets(body));
    const line: RecordedBody = { file, kind, method, path: withoutIds(path), status, fromService };
    appendFileSync(join(this.directory, 'index.jsonl'), `${JSON.stringify(line)}\n`);
  }
}

function withoutIds(text: string): string {
  return text
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'ID')
    .replace(/https:\/\/[\w.:[\]-]+/g, 'https://CELL')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, 'TIME');
}
