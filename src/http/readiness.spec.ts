import type { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLogger } from '../common/index.js';
import { ReadinessService } from './readiness.js';

const LONGER_THAN_A_CHECK_MS = 10_000;

describe('readiness', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
  afterEach(() => void vi.useRealTimers());

  it('asks what has not answered yet no second time, and hears its answer', async () => {
    let questions = 0;
    let answer: () => void = () => undefined;
    const check = () => {
      questions += 1;
      return new Promise<void>((resolve) => {
        answer = resolve;
      });
    };
    const database = { query: vi.fn(async () => []) };
    const readiness = new ReadinessService(database as unknown as DataSource, [{ name: 'repository', check }], silentLogger);
    const probe = async () => {
      const asked = readiness.check();
      await vi.advanceTimersByTimeAsync(LONGER_THAN_A_CHECK_MS);
      return asked;
    };
    for (let round = 0; round < 3; round += 1) {
      expect(await probe()).toEqual({ status: 'unavailable', checks: { database: 'ok', repository: 'unavailable' } });
    }
    expect(questions).toBe(1);
    expect(database.query).toHaveBeenCalledTimes(3);

    const heard = readiness.check();
    answer();
    expect(await heard).toEqual({ status: 'ok', checks: { database: 'ok', repository: 'ok' } });
    expect(questions).toBe(1);
    expect(await probe()).toMatchObject({ status: 'ok' });
    await probe();
    expect(questions).toBe(2);
  });
});
