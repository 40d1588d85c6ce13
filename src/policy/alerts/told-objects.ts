import type { AlertFact } from '../../alerts/index.js';

/** A policy that is renamed may leave thousands: who is told needs to see what they are, and how many. */
const MOST_NAMES = 3;
const MOST_IDS = 100;

interface ToldObject {
  vappId: string;
  vappName: string;
  organizationId: string;
  organizationName: string;
}

type Some<T> = [T, ...T[]];

/** What one round found of one organization is told as one alert; what the next one finds is told anew. */
export function together<T>(objects: readonly T[], keyOf: (object: T) => string): [key: string, objects: Some<T>][] {
  const groups = new Map<string, Some<T>>();
  for (const object of objects) {
    const key = keyOf(object);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [object]);
    else group.push(object);
  }
  return [...groups];
}

export function about(objects: Some<ToldObject>): Pick<AlertFact, 'organizationId' | 'subject'> {
  const [{ vappName, organizationId, organizationName }] = objects;
  return { organizationId, subject: objects.length === 1 ? `"${vappName}"` : objectsOf(objects.length, organizationName) };
}

/** @param organizationName empty for what belongs to no tenant. */
export function objectsOf(count: number, organizationName: string): string {
  return `${count === 1 ? '1 object' : `${count} objects`}${organizationName === '' ? '' : ` of organization "${organizationName}"`}`;
}

/** @param count of all, where these are only the first. */
export function namesOf<T>(objects: readonly T[], nameOf: (object: T) => string, count = objects.length): string {
  const names = objects.slice(0, MOST_NAMES).map(nameOf).join(', ');
  return count > MOST_NAMES ? `${names} and ${count - MOST_NAMES} more` : names;
}

export function listed(objects: readonly ToldObject[]): Record<string, unknown> {
  return { count: objects.length, vappIds: objects.slice(0, MOST_IDS).map(({ vappId }) => vappId) };
}
