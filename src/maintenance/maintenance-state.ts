import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';

/** Where a task that does its work in parts goes on, whichever worker does the next part. */
@Injectable()
export class MaintenanceState {
  constructor(private readonly dataSource: DataSource) {}

  /** @returns what `save` was given, or undefined. */
  async load<T extends object>(name: string): Promise<{ value: T; savedAt: Date; ageMs: number } | undefined> {
    // The database's clock: the worker that saved it may have another than this one.
    const rows: { value: T; savedAt: Date; ageMs: string }[] = await this.dataSource.query(
      `SELECT value, updated_at AS "savedAt", EXTRACT(EPOCH FROM now() - updated_at) * 1000 AS "ageMs" FROM maintenance_state WHERE name = $1`,
      [name],
    );
    const [row] = rows;
    return row && { value: row.value, savedAt: row.savedAt, ageMs: Number(row.ageMs) };
  }

  async save(name: string, value: object): Promise<void> {
    await this.dataSource.query(
      `INSERT INTO maintenance_state (name, value) VALUES ($1, $2)
       ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = now()`,
      [name, value],
    );
  }
}
