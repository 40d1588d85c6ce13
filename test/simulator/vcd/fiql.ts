import { badRequest } from './faults.js';

export type Comparison = '==' | '!=' | '=lt=' | '=le=' | '=gt=' | '=ge=';
export type Filter = { kind: 'all' | 'any'; parts: Filter[] } | { kind: 'test'; field: string; comparison: Comparison; value: string };

/**
 * VCD's filter language: `;` is AND and binds tighter than `,` which is OR; parentheses; in values
 * the reserved characters ( ) , ; \ are escaped with a backslash (from API 35.0).
 * @param readValue what a value means; encodedValue for `filterEncoded=true` before API 35.0
 * @throws VcdFault 400 naming the place.
 */
export function parseFilter(text: string, readValue: (raw: string) => string = (raw) => raw): Filter {
  const parser = new FilterParser(text, readValue);
  const filter = parser.parseAny();
  parser.requireEnd();
  return filter;
}

/** Nobody nests deeper; the parser's own stack must not be the limit. */
const MAX_DEPTH = 64;

class FilterParser {
  private at = 0;
  private depth = 0;
  constructor(
    private readonly text: string,
    private readonly readValue: (raw: string) => string,
  ) {}

  parseAny(): Filter {
    const parts = [this.parseAll()];
    while (this.accept(',')) parts.push(this.parseAll());
    return parts.length === 1 ? (parts[0] as Filter) : { kind: 'any', parts };
  }

  requireEnd(): void {
    if (this.at < this.text.length) this.fail();
  }

  private parseAll(): Filter {
    const parts = [this.parsePart()];
    while (this.accept(';')) parts.push(this.parsePart());
    return parts.length === 1 ? (parts[0] as Filter) : { kind: 'all', parts };
  }

  private parsePart(): Filter {
    if (this.accept('(')) {
      this.depth += 1;
      if (this.depth > MAX_DEPTH) this.fail();
      const inner = this.parseAny();
      if (!this.accept(')')) this.fail();
      this.depth -= 1;
      return inner;
    }
    const match = /^([A-Za-z][\w@:.-]*?)(==|!=|=(?:lt|le|gt|ge)=)/.exec(this.text.slice(this.at));
    if (!match) this.fail();
    this.at += match[0].length;
    return { kind: 'test', field: match[1] as string, comparison: match[2] as Comparison, value: this.readValue(this.parseValue()) };
  }

  private parseValue(): string {
    let value = '';
    while (this.at < this.text.length) {
      const character = this.text[this.at] as string;
      if (character === '\\') {
        value += this.text[this.at + 1] ?? this.fail();
        this.at += 2;
      } else if ('(),;'.includes(character)) break;
      else {
        value += character;
        this.at += 1;
      }
    }
    return value;
  }

  private accept(character: string): boolean {
    if (this.text[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  private fail(): never {
    throw badRequest(`Bad request: the filter "${this.text}" is not valid at position ${this.at}.`);
  }
}

/** A value that is percent-encoded inside the expression: before API 35.0 the way to write ; and , in one. */
export function encodedValue(raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch {
    throw badRequest(`Bad request: the filter value "${raw}" is not percent-encoded.`);
  }
}

/** @param read value of a field, or undefined where the record has none. */
export function matchesFilter(filter: Filter, read: (field: string) => string | undefined): boolean {
  if (filter.kind !== 'test') {
    const test = (part: Filter): boolean => matchesFilter(part, read);
    return filter.kind === 'all' ? filter.parts.every(test) : filter.parts.some(test);
  }
  const actual = read(filter.field);
  const wanted = filter.field.startsWith('metadata') ? filter.value.replace(/^(STRING|NUMBER|BOOLEAN|DATETIME):/, '') : filter.value;
  if (filter.comparison === '==') return actual !== undefined && equals(actual, wanted);
  if (filter.comparison === '!=') return actual === undefined || !equals(actual, wanted);
  if (actual === undefined) return false;
  const order = compareValues(actual, wanted);
  if (filter.comparison === '=lt=') return order < 0;
  if (filter.comparison === '=le=') return order <= 0;
  return filter.comparison === '=gt=' ? order > 0 : order >= 0;
}

/** `*` stands for anything; a reference is equal by its last UUID, whichever view's address was given. */
function equals(actual: string, wanted: string): boolean {
  if (actual === wanted) return true;
  if (wanted.includes('*')) {
    const pattern = wanted.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    return new RegExp(`^${pattern.join('.*')}$`, 'is').test(actual);
  }
  const [left, right] = [lastUuid(actual), lastUuid(wanted)];
  return left !== undefined && left === right;
}

function lastUuid(text: string): string | undefined {
  return /^(?:https?:|urn:).*?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\/?$/.exec(text)?.[1];
}

export function compareValues(a: string, b: string): number {
  const [left, right] = [Number(a), Number(b)];
  if (a !== '' && b !== '' && Number.isFinite(left) && Number.isFinite(right)) return left - right;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Names of the fields a filter asks for. */
export function fieldsOf(filter: Filter): string[] {
  return filter.kind === 'test' ? [filter.field] : filter.parts.flatMap(fieldsOf);
}
