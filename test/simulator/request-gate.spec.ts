import { describe, expect, it } from 'vitest';
import { CutRequest, FailedRequest, type GatedRequest, type GateOrder, RequestGate } from './request-gate.js';
import { AnnouncedIo } from './vix-door/announced-io.js';

const enter: GatedRequest = { door: 'vcd', method: 'POST', object: '/api/vApp/1/action/enterMaintenanceMode' };
const read: GatedRequest = { door: 'vcd', method: 'GET', object: '/api/vApp/1' };
const matching = ({ method }: GatedRequest) => method === 'POST';

describe('a gate', () => {
  /** @returns what became of three requests that are counted, with others between, and which of them were carried out. */
  async function threeWith(order: Partial<GateOrder>, refused: readonly number[] = []) {
    const gate = new RequestGate();
    const struck = gate.apply({ number: 2, moment: 'before', matching, ...order });
    const done: number[] = [];
    const ends: string[] = [];
    for (const number of [1, 2, 3]) {
      await gate.pass(read, () => undefined);
      const work = () => {
        if (refused.includes(number)) throw new Error('refused');
        done.push(number);
        return number;
      };
      ends.push(
        await gate
          .pass(enter, work, () => ({ failWhenDone: () => void ends.push('its task is going to fail') }))
          .then(
            (answer) => `answered ${answer}`,
            (error: Error) => error.constructor.name,
          ),
      );
    }
    expect(await struck).toEqual(enter);
    return { done, ends };
  }

  it.each<[string, Partial<GateOrder>, { done: number[]; ends: string[] }]>([
    ['drops before', { effect: 'drop', moment: 'before' }, { done: [1, 3], ends: ['answered 1', CutRequest.name, 'answered 3'] }],
    ['drops after', { effect: 'drop', moment: 'after' }, { done: [1, 2, 3], ends: ['answered 1', CutRequest.name, 'answered 3'] }],
    ['fails late', { effect: 'fail', moment: 'after' }, { done: [1, 2, 3], ends: ['answered 1', FailedRequest.name, 'answered 3'] }],
    [
      'lets the task fail',
      { effect: 'fail-task', moment: 'after' },
      { done: [1, 2, 3], ends: ['answered 1', 'its task is going to fail', 'answered 2', 'answered 3'] },
    ],
  ])('%s: the one that is meant, once', async (_, order, expected) => {
    expect(await threeWith(order)).toEqual(expected);
  });

  it('means the next one where the one it meant was refused', async () => {
    const { ends } = await threeWith({ effect: 'drop', moment: 'after' }, [2]);
    expect(ends).toEqual(['answered 1', 'Error', CutRequest.name]);
  });

  it('holds until it is released, and carries it out then or never', async () => {
    for (const serve of [true, false]) {
      const gate = new RequestGate();
      const held = gate.hold({ number: 1, moment: 'before', matching });
      let done = false;
      const passed = gate
        .pass(enter, () => {
          done = true;
          return 'answer';
        })
        .catch((error: Error) => error.constructor.name);
      await held;
      expect(done).toBe(false);
      gate.release(serve);
      expect(await passed).toBe(serve ? 'answer' : CutRequest.name);
      expect(done).toBe(serve);
    }
  });

  it('notes what goes by, and what makes a task', async () => {
    const gate = new RequestGate();
    expect(gate.isWatching).toBe(false);
    gate.startNoting();
    expect(gate.isWatching).toBe(true);
    await gate.pass(read, () => 1);
    await gate.pass(
      enter,
      () => 2,
      () => ({ failWhenDone: () => undefined }),
    );
    expect(gate.stopNoting()).toEqual([
      { ...read, makesTask: false },
      { ...enter, makesTask: true },
    ]);
  });
});

describe('reads and writes that the library announces', () => {
  const matching = ({ method }: GatedRequest) => method === 'write';

  it('are cut before they are carried out, or when they are done', async () => {
    for (const moment of ['before', 'after'] as const) {
      const gate = new RequestGate();
      const io = new AnnouncedIo(gate);
      const struck = gate.apply({ number: 2, moment, effect: 'drop', matching });
      await io.end((await io.begin('read', 'vm-1')).number);
      const [first, second] = [await io.begin('write', 'vm-1'), io.begin('write', 'vm-1')];
      await io.end(first.number);
      if (moment === 'before') await expect(second).rejects.toThrow(CutRequest);
      else await expect(io.end((await second).number)).rejects.toThrow(CutRequest);
      expect(await struck).toEqual({ door: 'vix', method: 'write', object: 'vm-1' });
    }
  });

  it('end with their connection', async () => {
    const gate = new RequestGate();
    const io = new AnnouncedIo(gate);
    const struck = gate.apply({ number: 1, moment: 'after', effect: 'drop', matching });
    await io.begin('write', 'vm-1');
    io.close();
    await struck;
    await expect(io.end('1')).rejects.toThrow('no I/O number 1');
  });
});
