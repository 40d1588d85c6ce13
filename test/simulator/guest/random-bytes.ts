import { createCipheriv, createHash } from 'node:crypto';

/** The same bytes for the same seed, on every machine, as fast as AES: no pattern a compressor or a deduplicator could find. */
export function seededBytes(seed: string, lengthBytes: number): Buffer {
  const key = createHash('sha256').update(seed).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(lengthBytes));
}

/** Whole numbers below a limit, the same for the same seed. */
export function seededNumbers(seed: string): (limit: number) => number {
  let pool = seededBytes(seed, 4096);
  let at = 0;
  let round = 0;
  return (limit) => {
    if (at + 6 > pool.length) {
      round += 1;
      pool = seededBytes(`${seed}#${round}`, 4096);
      at = 0;
    }
    const value = pool.readUIntBE(at, 6);
    at += 6;
    return value % limit;
  };
}

const WORDS = 'the order of customer was sent to warehouse and stock level checked before invoice could be paid in full on'.split(' ');

/** Text a log file could hold: compresses about five to one. */
export function seededText(seed: string, lengthBytes: number): Buffer {
  const next = seededNumbers(seed);
  const lines: string[] = [];
  let length = 0;
  while (length < Math.min(lengthBytes, 65536)) {
    const words = Array.from({ length: 10 }, () => WORDS[next(WORDS.length)]);
    const line = `2026-0${1 + next(9)}-1${next(10)} INFO ${next(1_000_000)} ${words.join(' ')}\n`;
    lines.push(line);
    length += line.length;
  }
  const unit = Buffer.from(lines.join(''));
  const text = Buffer.alloc(lengthBytes);
  for (let at = 0; at < lengthBytes; at += unit.length) {
    unit.copy(text, at);
    // No two stretches alike, or a repository would store one of them.
    if (at + 20 <= lengthBytes) text.write(`# ${seed.slice(0, 4)} ${at}\n`, at, 'latin1');
  }
  return text;
}
