import { createHash } from 'node:crypto';
import type { XmlElement } from '../common/index.js';
import { type NormalOptions, normalMedia, normalVapp, toldBy } from './normal-form.js';
import { content, type Normal } from './section-content.js';
import type { AttributeComparison, AttributeDifference, MediaCapture, VappCapture } from './types.js';

export type CompareOptions = NormalOptions;

/** Every attribute in which two captures differ, by a path like `vms.web.nics.0.network`. Empty means equal. */
export function compareVappCaptures(expected: VappCapture, actual: VappCapture, options: CompareOptions = {}): AttributeDifference[] {
  return compareVappAttributes(expected, actual, options)
    .filter(({ equal }) => !equal)
    .map(({ path, expected: was, actual: is }) => ({ path, expected: was, actual: is }));
}

/**
 * Every attribute that either capture of a vApp, standalone VM or template has, with both values: a path ends where a
 * value is no longer an object or a list of equal length. docs/vcloud.md has the list. What one of the two does not
 * tell at all (a capture of an earlier version) is no attribute of either.
 */
export function compareVappAttributes(expected: VappCapture, actual: VappCapture, options: CompareOptions = {}): AttributeComparison[] {
  const [one, other] = [toldBy(expected), toldBy(actual)];
  const told = {
    kind: one.kind && other.kind,
    name: one.name && other.name,
    namedDisks: one.namedDisks && other.namedDisks,
    affinityRules: one.affinityRules && other.affinityRules,
  };
  return compareNormal(normalVapp(expected, options, told), normalVapp(actual, options, told));
}

/** The same of a medium; its bytes are compared by their digest, elsewhere. */
export function compareMedia(expected: MediaCapture, actual: MediaCapture, options: CompareOptions = {}): AttributeComparison[] {
  return compareNormal(normalMedia(expected, options), normalMedia(actual, options));
}

/** SHA-256 over the same normal form, with the identities that a concurrent edit could swap. */
export function fingerprintVapp(capture: VappCapture): string {
  const identities = capture.vms.map((vm) => [vm.id, vm.vim.vmMoRef]).sort();
  const namedDisks = (capture.namedDisks ?? []).map((disk) => disk.id).sort();
  const normal = { id: capture.id, identities, namedDisks, vapp: normalVapp(capture, {}, toldBy(capture)) };
  return createHash('sha256')
    .update(JSON.stringify(sorted(normal)))
    .digest('hex');
}

/** True when two elements say the same, whatever their prefixes, addresses and attribute order. */
export function sameContent(one: XmlElement, other: XmlElement): boolean {
  return compareNormal(content(one), content(other)).every(({ equal }) => equal);
}

function compareNormal(expected: Normal, actual: Normal): AttributeComparison[] {
  const attributes: AttributeComparison[] = [];
  collect('', expected, actual, attributes);
  return attributes;
}

function collect(path: string, expected: Normal, actual: Normal, attributes: AttributeComparison[]): void {
  if (isObject(expected) && isObject(actual)) {
    for (const key of [...new Set([...Object.keys(expected), ...Object.keys(actual)])].sort()) {
      collect(path === '' ? key : `${path}.${key}`, expected[key], actual[key], attributes);
    }
    return;
  }
  if (Array.isArray(expected) && Array.isArray(actual) && expected.length === actual.length) {
    expected.forEach((value, index) => {
      collect(`${path}.${index}`, value, actual[index], attributes);
    });
    return;
  }
  if (expected === undefined && actual === undefined) return;
  attributes.push({ path, expected, actual, equal: JSON.stringify(sorted(expected)) === JSON.stringify(sorted(actual)) });
}

function isObject(value: Normal): value is { [key: string]: Normal } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Keys in one order, so that equal values give equal text. */
function sorted(value: Normal): Normal {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}
