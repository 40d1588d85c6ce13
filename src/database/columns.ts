import type { ColumnOptions, ValueTransformer } from 'typeorm';

/**
 * bigint leaves PostgreSQL as text. Every figure here (bytes, KiB, milliseconds) stays below 2^53;
 * one that does not is a fault to be seen, not rounded.
 */
export const safeInteger: ValueTransformer = {
  to: (value: number | null | undefined) => value,
  from: (value: string | null) => {
    if (value === null) return null;
    const number = Number(value);
    if (!Number.isSafeInteger(number)) throw new RangeError(`The database holds ${value}, more than a number can tell exactly`);
    return number;
  },
};

/** `@Column(bigint('capacity_bytes')) capacityBytes!: number` */
export function bigint(name: string): ColumnOptions {
  return { name, type: 'bigint', transformer: safeInteger };
}
