import type { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sleep } from '../../src/common/index.js';
import { tryLockTransaction, whileAlone } from '../../src/database/index.js';
import { startTestDatabase, type TestDatabase } from '../harness/database.js';

const KEY = 4_711;

describe('what one process does at a time', () => {
  let database: TestDatabase;
  let source: DataSource;
  beforeAll(async () => {
    database = await startTestDatabase();
    source = await database.connect([]);
  });
  afterAll(async () => {
    await database?.stop();
  });

  const never = () => Promise.reject(new Error('It was done beside another one'));

  it('is done by one, however long it takes, and by the next one afterwards', async () => {
    const done = await whileAlone(
      source,
      KEY,
      async () => {
        await sleep(1_200);
        expect(await whileAlone(source, KEY, never)).toBe(false);
      },
      300,
    );
    expect(done).toBe(true);
    expect(await whileAlone(source, KEY, async () => undefined)).toBe(true);
  });

  it('is free again when it went wrong', async () => {
    await expect(whileAlone(source, KEY, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await whileAlone(source, KEY, async () => undefined)).toBe(true);
  });

  it('is done by another one when the first stopped in the middle', async () => {
    const frozen = source.createQueryRunner();
    try {
      await frozen.startTransaction();
      expect(await tryLockTransaction(frozen.manager, KEY, 500)).toBe(true);
      for (const deadline = performance.now() + 10_000; !(await whileAlone(source, KEY, async () => undefined)); await sleep(50)) {
        if (performance.now() > deadline) throw new Error('The lock was kept');
      }
      await expect(frozen.query('SELECT 1')).rejects.toThrow();
    } finally {
      await frozen.release();
    }
  });
});
