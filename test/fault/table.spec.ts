import { describe, expect, it } from 'vitest';
import { pointsOf, sampleOf, stepName, stepsOf } from './steps.js';
import { type MissedPoint, reportOf, tableOf } from './table.js';
import type { Trial } from './try-point.js';

const VAPP = 'vapp-6f6b9a55-3c4e-4a1c-9d0e-6a2b8f1f0c11';
const enter = { door: 'vcd', method: 'POST', object: `/api/vApp/${VAPP}/action/enterMaintenanceMode`, makesTask: true } as const;
const read = { door: 'vcenter', method: 'RetrievePropertiesEx', object: 'propertyCollector', makesTask: false } as const;

describe('steps', () => {
  it('are what differs in more than the object it is about', () => {
    expect(stepName(enter)).toBe('vcd POST /api/vApp/vapp-…/action/enterMaintenanceMode');
    expect(stepName({ door: 'vix', method: 'open', object: '[ssd-1] web (6f6b)/web.vmdk' })).toBe('vix open disk');
    expect(stepName({ door: 'vcenter', method: 'CreateSnapshot_Task', object: 'vm-103' })).toBe('vcenter CreateSnapshot_Task vm-…');
    const collector = 'collector-12-164be149';
    expect(stepName({ door: 'vcenter', method: 'CreateFilter', object: collector })).toBe('vcenter CreateFilter collector-…');
    expect(stepName({ door: 'vcenter', method: 'DestroyView', object: 'view-12304-db44ed16' })).toBe('vcenter DestroyView view-…');
    expect(stepName({ door: 'vcenter', method: 'GET /folder', object: '/folder/web%20(6f6b)/web.nvram' })).toBe(
      'vcenter GET /folder /folder/….nvram',
    );
  });

  it('that change something are tried each time they come, others at the first and the last', () => {
    const steps = stepsOf([enter, read, read, enter, read, enter]);
    expect(steps).toEqual([
      { name: stepName(enter), door: 'vcd', changes: true, makesTask: true, occurrences: 3 },
      { name: stepName(read), door: 'vcenter', changes: false, makesTask: false, occurrences: 3 },
    ]);
    const points = pointsOf(steps).map(({ step, number, fault }) => `${step.split(' ')[1]} ${number} ${fault.name}`);
    expect(points).toHaveLength(3 * 6 + 2 * 5);
    expect(points).toContain('POST 2 task-fails-late');
    expect(points).toContain('RetrievePropertiesEx 3 killed-after');
    expect(points.filter((point) => /RetrievePropertiesEx (?:2|.* task)/.test(point))).toEqual([]);
  });
});

describe('one point in five', () => {
  const written = { door: 'vix', method: 'written', object: 'disk', makesTask: false } as const;
  const points = pointsOf(stepsOf(Array.from({ length: 40 }, () => written)));
  const sample = sampleOf(points, { every: 5, part: 1 });

  it('has every fault in it, in the order of the points', () => {
    expect(points).toHaveLength(200);
    expect(sample).toHaveLength(40);
    expect(new Set(sample.map(({ fault }) => fault.name)).size).toBe(5);
    expect(points.filter((point) => sample.includes(point))).toEqual(sample);
  });

  it('is the same one each time', () => {
    expect(sampleOf(points.toReversed(), { every: 5, part: 1 }).toReversed()).toEqual(sample);
    expect(sampleOf(points, { every: 1, part: 1 })).toEqual(points);
  });

  it('is one of as many that share none and are all of them together', () => {
    const few = points.slice(0, 23);
    const parts = Array.from({ length: 7 }, (_, i) => sampleOf(few, { every: 7, part: i + 1 }));
    expect(parts.flat()).toHaveLength(few.length);
    expect(new Set(parts.flat())).toEqual(new Set(few));
  });
});

describe('the table', () => {
  const trial = (step: string, fault: Trial['fault'], broken: string[] = []): Trial => ({
    ...{ operation: 'backup', step, fault, number: 1, request: step, outcome: 'carried on', broken, ms: 1 },
  });
  const trials = [trial('b', 'killed-before'), trial('a', 'dropped-after', ['a snapshot is left']), trial('b', 'killed-before')];

  const missed = (step: string, fault: Trial['fault']): MissedPoint => ({ operation: 'backup', step, fault, number: 3 });

  it('counts points and failures by step and fault, in the order of the steps', () => {
    const report = reportOf(trials, [], ({ step }) => ['a', 'b'].indexOf(step));
    expect(report).toMatchObject({ points: 3, failures: 1, missed: 0 });
    expect(report.rows).toEqual([
      { operation: 'backup', step: 'a', faults: { 'dropped-after': { points: 1, failures: 1, missed: 0 } }, broken: [trials[1]] },
      { operation: 'backup', step: 'b', faults: { 'killed-before': { points: 2, failures: 0, missed: 0 } }, broken: [] },
    ]);
    const lines = tableOf(report).split('\n');
    expect(lines[1]?.split(/ +/)).toEqual(['backup', 'a', '-', '-', '-', '1!1', '-', '-']);
    expect(lines[2]?.split(/ +/)).toEqual(['backup', 'b', '2', '-', '-', '-', '-', '-']);
    expect(lines[3]?.split(/ +/)).toEqual(['all', '2', '-', '-', '1!1', '-', '-']);
    expect(lines[4]).toBe('3 points, 1 failures; 0 more never came');
  });

  it('says what was not tried where the sweep was ended early', () => {
    const report = reportOf(trials, [], () => 0);
    expect(report).toMatchObject({ untried: 0, notListed: [] });
    expect(tableOf({ ...report, untried: 7 })).toMatch(/never came\n7 more were not tried\n$/);
    expect(tableOf({ ...report, untried: 7, notListed: ['vms', 'gc'] })).toMatch(
      /\n7 more were not tried\nnothing was tried of vms, gc\n$/,
    );
  });

  it('says how many points never came, which are none that held', () => {
    const never = [missed('b', 'killed-before'), missed('a', 'dropped-after'), missed('c', 'fails-late'), missed('c', 'fails-late')];
    const report = reportOf(trials, never, ({ step }) => ['a', 'b', 'c'].indexOf(step));
    expect(report).toMatchObject({ points: 3, failures: 1, missed: 4 });
    expect(report.rows.map(({ faults }) => faults)).toEqual([
      { 'dropped-after': { points: 1, failures: 1, missed: 1 } },
      { 'killed-before': { points: 2, failures: 0, missed: 1 } },
      { 'fails-late': { points: 0, failures: 0, missed: 2 } },
    ]);
    const lines = tableOf(report).split('\n');
    expect(lines[1]?.split(/ +/)).toEqual(['backup', 'a', '-', '-', '-', '1!1?1', '-', '-']);
    expect(lines[2]?.split(/ +/)).toEqual(['backup', 'b', '2?1', '-', '-', '-', '-', '-']);
    expect(lines[4]?.split(/ +/)).toEqual(['all', '2?1', '-', '-', '1!1?1', '0?2', '-']);
    expect(lines[5]).toBe('3 points, 1 failures; 4 more never came');
  });
});
