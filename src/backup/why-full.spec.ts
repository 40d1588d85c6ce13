import { describe, expect, it } from 'vitest';
import { type FullQuestion, whyFull } from './why-full.js';

const GIB = 2 ** 30;
const base = { restorePointId: 'rp', indexId: 'ix', chunkBytes: 262_144, capacityBytes: 4 * GIB, changeId: '52 aa/7', diskUuid: 'u-1' };
const previous = { indexId: 'ix', changeId: '52 aa/7', controllerKey: 1000, unitNumber: 0 };
const disk = { deviceKey: 2000, uuid: 'u-1', capacityBytes: 4 * GIB, changeId: '52 aa/9', controllerKey: 1000, unitNumber: 0 };
const question: FullQuestion = {
  forceFull: false,
  hardwareVersion: 'vmx-19',
  trackingSupported: true,
  trackingEnabled: true,
  diskId: 'd-1',
  disk,
  base,
  previous,
  formerDisks: [],
};
const former = (diskId: string, deviceKey: number, uuid: string) => ({ base: undefined, formerDisks: [{ diskId, deviceKey, uuid }] });

describe('whyFull', () => {
  it('finds nothing against an incremental copy of the same disk in the same place', () => {
    expect(whyFull(question)).toBeUndefined();
    expect(whyFull({ ...question, hardwareVersion: 'vmx-7' })).toBeUndefined();
  });

  it.each<[string, Partial<FullQuestion>]>([
    ['requested', { forceFull: true }],
    ['hardware-too-old', { hardwareVersion: 'vmx-06' }],
    ['hardware-too-old', { hardwareVersion: 'vmx-04', base: undefined }],
    ['tracking-unsupported', { trackingSupported: false }],
    ['first-backup', { base: undefined }],
    ['first-backup', former('d-9', 2016, 'u-9')],
    ['no-previous-change-id', former('d-1', 2000, 'u-1')],
    ['disk-moved', former('d-9', 2016, 'u-1')],
    ['disk-replaced', former('d-9', 2000, 'u-9')],
    ['disk-replaced', { disk: { ...disk, uuid: 'u-2' } }],
    ['disk-replaced', { disk: { ...disk, uuid: undefined } }],
    ['size-changed', { disk: { ...disk, capacityBytes: 5 * GIB } }],
    ['no-previous-change-id', { base: { ...base, changeId: '' } }],
    ['no-previous-change-id', { base: { ...base, changeId: '*' } }],
    ['previous-index-missing', { previous: undefined }],
    ['previous-index-missing', { previous: { ...previous, indexId: 'another' } }],
    ['previous-index-missing', { previous: { ...previous, changeId: '52 aa/6' } }],
    ['disk-moved', { previous: { ...previous, controllerKey: 1001 } }],
    ['disk-moved', { previous: { ...previous, unitNumber: 1 } }],
    ['tracking-off', { trackingEnabled: false }],
    ['no-change-id', { disk: { ...disk, changeId: undefined } }],
    ['no-change-id', { disk: { ...disk, changeId: '' } }],
    ['no-change-id', { disk: { ...disk, changeId: '*' } }],
    ['tracking-restarted', { disk: { ...disk, changeId: '52 bb/9' } }],
  ])('copies in full and says why: %s', (reason, change) => {
    expect(whyFull({ ...question, ...change })).toBe(reason);
  });
});
