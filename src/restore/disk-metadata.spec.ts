import { describe, expect, it } from 'vitest';
import { restorableMetadata } from './disk-metadata.js';

describe('restorableMetadata', () => {
  it('brings back what the guest and its tools know the disk by', () => {
    const captured = {
      'geometry.heads': '255',
      'geometry.biosHeads': '240',
      toolsVersion: '12352',
      toolsInstallType: '4',
      comment: 'gold',
    };
    expect(restorableMetadata(captured, { 'geometry.heads': '255', toolsVersion: '0' }, true)).toEqual({
      'geometry.biosHeads': '240',
      toolsVersion: '12352',
      toolsInstallType: '4',
      comment: 'gold',
    });
  });

  it('leaves its geometry to a disk of another size', () => {
    expect(restorableMetadata({ 'geometry.heads': '255', comment: 'gold' }, {}, false)).toEqual({ comment: 'gold' });
  });

  it('leaves to the new disk what is its own', () => {
    const own = ['uuid', 'uuid.image', 'adapterType', 'thinProvisioned', 'virtualHWVersion', 'encoding', 'longContentID'];
    const foreign = ['objectParentUri', 'nativeParentHint', 'iofilters', 'sidecars', 'cryptoKeyId', 'encryptionKeys', 'keySafe'];
    expect(restorableMetadata(Object.fromEntries([...own, ...foreign].map((key) => [key, 'x'])), {}, true)).toEqual({});
  });

  it('leaves out what VDDK could not write, and knows restore points without metadata', () => {
    expect(restorableMetadata({ comment: 'a "b"', note: 'two\nlines', 'odd key': 'x', 'k"': 'x' }, {}, true)).toEqual({});
    expect(restorableMetadata(null, {}, true)).toEqual({});
    expect(restorableMetadata(undefined, {}, true)).toEqual({});
  });
});
