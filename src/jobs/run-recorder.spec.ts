import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLogger } from '../common/index.js';
import type { Lease } from './lease-keeper.js';
import { RunRecorder } from './run-recorder.js';
import type { RunRecord, RunStore } from './run-store.js';
import { transferOf } from './transfer.js';

describe('what a run tells of its bytes', () => {
  const written: RunRecord[] = [];
  const store = {
    record: async (_runId: string, _owner: string, record: RunRecord) => {
      written.push(structuredClone(record));
      return true;
    },
  } as unknown as RunStore;
  const lease = { runId: 'r1', owner: 'w1', lose: () => undefined } as unknown as Lease;
  const recorder = () => new RunRecorder(store, lease, silentLogger, 1_000, { steps: [], warnings: [], attempt: 1 });
  const left = () => transferOf(written.at(-1)?.progress ?? {}, true)?.secondsLeft;

  beforeEach(() => {
    vi.useFakeTimers();
    written.length = 0;
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('is told again while a disk that moved says nothing, and no more when it stands still', async () => {
    const run = recorder();
    for (let second = 0; second <= 40; second += 1) {
      run.progress('web/1', { doneBytes: second * 10, totalBytes: 10_000 });
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(written.at(-1)?.progress['web/1']?.bytesPerSecond).toBe(10);
    const before = written.length;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(written.at(-1)?.progress['web/1']?.bytesPerSecond).toBeLessThan(8);
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(written.at(-1)?.progress['web/1']).toMatchObject({ doneBytes: 400, bytesPerSecond: 0 });
    expect(left()).toBeNull();
    expect(written.length - before).toBeLessThanOrEqual(10);
    expect(vi.getTimerCount()).toBe(0);
    run.progress('web/1', { doneBytes: 500, totalBytes: 10_000 });
    await run.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('says how long it takes when every disk that was expected has begun or is left out', async () => {
    const run = recorder();
    const tell = async (key: string, doneBytes: number) => {
      run.progress(key, { doneBytes: 0, totalBytes: 100 });
      await vi.advanceTimersByTimeAsync(1_000);
      run.progress(key, { doneBytes, totalBytes: 100 });
      await vi.advanceTimersByTimeAsync(1_000);
    };
    run.expect('web');
    run.expect('db');
    run.expect('web', ['1', '2']);
    await tell('web/1', 100);
    expect(left()).toBeNull();
    await tell('web/2', 50);
    expect(left()).toBeNull();
    run.expect('db', ['1']);
    run.expect('db', []);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(left()).toBe(1);
    // Copied again.
    run.expect('web', ['1', '2']);
    await tell('web/1', 100);
    expect(left()).toBeNull();
    await run.close();
  });
});
