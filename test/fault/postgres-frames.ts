/** One message of PostgreSQL's protocol 3 (its manual, chapter "Frontend/Backend Protocol"). */
export interface Frame {
  /** One letter; empty for what a client says before the startup is through. */
  readonly type: string;
  /** All of it, as it is sent on. */
  readonly bytes: Buffer;
  readonly body: Buffer;
}

const LENGTH_BYTES = 4;
const PROTOCOL_3 = 196_608;
export const SSL_REQUEST = 80_877_103;
export const GSS_REQUEST = 80_877_104;

/** Cuts a stream into messages. */
export class FrameReader {
  private rest: Buffer = Buffer.alloc(0);

  /** @param starting whether the stream begins with the messages without a letter: a client's does, a server's does not. */
  constructor(private starting: boolean) {}

  *read(chunk: Buffer): Generator<Frame> {
    this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    for (;;) {
      const typeBytes = this.starting ? 0 : 1;
      if (this.rest.length < typeBytes + LENGTH_BYTES) return;
      const endOffset = typeBytes + this.rest.readUInt32BE(typeBytes);
      if (this.rest.length < endOffset) return;
      const bytes = this.rest.subarray(0, endOffset);
      this.rest = this.rest.subarray(endOffset);
      const body = bytes.subarray(typeBytes + LENGTH_BYTES);
      if (this.starting && startupCode(body) === PROTOCOL_3) this.starting = false;
      yield { type: typeBytes === 0 ? '' : String.fromCharCode(bytes[0] as number), bytes, body };
    }
  }
}

/** What a message without a letter is about. */
export function startupCode(body: Buffer): number {
  return body.length >= 4 ? body.readUInt32BE(0) : 0;
}

/** The texts at the beginning of a body, each ended by a zero. */
export function textsOf(body: Buffer, count: number): string[] {
  const texts: string[] = [];
  for (let offset = 0; texts.length < count; ) {
    const end = body.indexOf(0, offset);
    if (end < 0) throw new RangeError('A message of PostgreSQL ends in the middle of a text');
    texts.push(body.toString('utf8', offset, end));
    offset = end + 1;
  }
  return texts;
}

/** How many rows a CommandComplete speaks of: "UPDATE 3", "INSERT 0 1". */
export function rowsOf(tag: string): number {
  return Number(/(\d+)$/.exec(tag)?.[1] ?? 0);
}

/** A server that ends the connection, as at its own shutdown. */
export function fatalError(sqlState: string, message: string): Buffer {
  const fields = ['SFATAL', 'VFATAL', `C${sqlState}`, `M${message}`].map((field) => `${field}\0`).join('');
  const body = Buffer.from(`${fields}\0`, 'utf8');
  const head = Buffer.alloc(1 + LENGTH_BYTES);
  head.write('E', 0, 'latin1');
  head.writeUInt32BE(LENGTH_BYTES + body.length, 1);
  return Buffer.concat([head, body]);
}
