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

/** What a record holds under a name; metadata tells its type too. */
export interface FieldValue {
  value: string;
  metadataType?: 'STRING' | 'NUMBER' | 'BOOLEAN' | 'DATETIME';
}

/**
 * @param read value of a field, or undefined where the record has none
 * @throws VcdFault 400 for a metadata value without its type, or not of it
 */
export function matchesFilter(filter: Filter, read: (field: string) => FieldValue | undefined): boolean {
  if (filter.kind !== 'test') {
    const test = (part: Filter): boolean => matchesFilter(part, read);
    return filter.kind === 'all' ? filter.parts.every(test) : filter.parts.some(test);
  }
  const actual = read(filter.field);
  if (filter.field.startsWith('metadata')) return matchesMetadata(filter.comparison, actual, metadataValue(filter.value));
  return matches(filter.comparison, actual?.value, filter.value, equals, compareValues);
}

function matches(
  comparison: Comparison,
  actual: string | undefined,
  wanted: string,
  areEqual: (a: string, b: string) => boolean,
  compare: (a: string, b: string) => number,
): boolean {
  if (comparison === '==') return actual !== undefined && areEqual(actual, wanted);
  if (comparison === '!=') return actual === undefined || !areEqual(actual, wanted);
  if (actual === undefined) return false;
  const order = compare(actual, wanted);
  if (comparison === '=lt=') return order < 0;
  if (comparison === '=le=') return order <= 0;
  return comparison === '=gt=' ? order > 0 : order >= 0;
}

/** An entry of another type never matches, whatever its text; != is true for it. */
function matchesMetadata(comparison: Comparison, actual: FieldValue | undefined, wanted: Required<FieldValue>): boolean {
  if (actual?.metadataType !== wanted.metadataType) return comparison === '!=';
  const compare = {
    STRING: compareText,
    NUMBER: (a: string, b: string) => Number(a) - Number(b),
    BOOLEAN: compareText,
    DATETIME: (a: string, b: string) => Date.parse(a) - Date.parse(b),
  }[wanted.metadataType];
  const areEqual = wanted.metadataType === 'STRING' ? equals : (a: string, b: string) => compare(a, b) === 0;
  return matches(comparison, actual.value, wanted.value, areEqual, compare);
}

const METADATA_FORMS = {
  STRING: /^/,
  NUMBER: /^-?\d+$/,
  BOOLEAN: /^(?:true|false)$/,
  DATETIME: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/,
} as const;

/** "NUMBER:12": the type stands before the value, as the API guide has it. @throws VcdFault 400 */
export function metadataValue(text: string): Required<FieldValue> {
  const match = /^(STRING|NUMBER|BOOLEAN|DATETIME):(.*)$/s.exec(text);
  if (!match)
    throw badRequest(`Bad request: the metadata value "${text}" of the filter has no type STRING:, NUMBER:, BOOLEAN: or DATETIME:.`);
  const [metadataType, value] = [match[1] as Required<FieldValue>['metadataType'], match[2] as string];
  if (!METADATA_FORMS[metadataType].test(value))
    throw badRequest(`Bad request: the metadata value "${value}" of the filter is no ${metadataType}.`);
  return { metadataType, value };
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** `*` stands for anything; a reference is equal by its last UUID, whichever view's address was given. */
function equals(actual: string, wanted: string): boolean {
  if (actual === wanted) return true;
  if (wanted.includes('*')) {
    const pattern = wanted.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    return new RegExp(`^${pattern.join('.*')}$`, 'is').test(actual);
  }
  // Most rows of a listing differ here already; a pattern over each of them is what a filter would cost.
  if (ending(actual) !== ending(wanted)) return false;
  const uuid = lastUuid(wanted);
  return uuid !== undefined && lastUuid(actual) === uuid;
}

/** The last characters of a UUID, a slash behind it left out. */
function ending(text: string): string {
  const end = text.endsWith('/') ? text.length - 1 : text.length;
  return text.slice(Math.max(0, end - 12), end);
}

function lastUuid(text: string): string | undefined {
  return /^(?:https?:|urn:).*?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\/?$/.exec(text)?.[1];
}

const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/;

/** Numbers as numbers, dates as moments whatever their time zone, all else as text. */
export function compareValues(a: string, b: string): number {
  if (DATE_TIME.test(a) && DATE_TIME.test(b)) return Date.parse(a) - Date.parse(b);
  const [left, right] = [Number(a), Number(b)];
  if (a !== '' && b !== '' && Number.isFinite(left) && Number.isFinite(right)) return left - right;
  return compareText(a, b);
}

/** Every test in a filter. */
export function testsOf(filter: Filter): Extract<Filter, { kind: 'test' }>[] {
  return filter.kind === 'test' ? [filter] : filter.parts.flatMap(testsOf);
}
