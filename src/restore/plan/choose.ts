import { RestoreError } from '../errors.js';
import type { PlanItem } from '../plan-types.js';

export type Options = NonNullable<PlanItem['choice']>['options'];

/** Names as options: what a person sees is what the request carries. */
export function optionsOf(names: readonly string[]): Options {
  return names.map((name) => ({ value: name, label: name }));
}

/** @throws RestoreError CHOICE_INVALID, naming the field and what it may be. */
export function assertOption(field: string, value: string, options: Options): void {
  if (options.some((option) => option.value === value)) return;
  const allowed = options.map((option) => `"${option.value}"`).join(', ') || 'nothing: there is none';
  throw new RestoreError('CHOICE_INVALID', `choices.${field} is "${value}", which is not there; allowed: ${allowed}.`, { field, value });
}

/** @throws RestoreError CHOICE_INVALID where a key names nothing of the restore point: a slip would else be taken for a choice. */
export function assertKeys(field: string, given: Readonly<Record<string, string>> | undefined, known: readonly string[]): void {
  for (const key of Object.keys(given ?? {})) {
    if (known.includes(key)) continue;
    const allowed = known.map((name) => `"${name}"`).join(', ') || 'none';
    throw new RestoreError(
      'CHOICE_INVALID',
      `choices.${field} names "${key}", which the restore point does not have; it has: ${allowed}.`,
      {
        field,
        key,
      },
    );
  }
}

/** An item a rule made; what fits needs no sentence. */
export function planItem(
  attribute: string,
  conformity: PlanItem['conformity'],
  values: { captured: unknown; planned: unknown },
  explanation = '',
  more: { choice?: PlanItem['choice']; needsChoice?: boolean } = {},
): PlanItem {
  return {
    attribute,
    conformity,
    ...values,
    explanation,
    ...(more.choice ? { choice: more.choice } : {}),
    needsChoice: more.needsChoice ?? false,
  };
}
