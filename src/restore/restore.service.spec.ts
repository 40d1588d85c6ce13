import { describe, expect, it } from 'vitest';
import type { SourceKind } from '../catalog/index.js';
import { RESTORE_MODES } from './restore-request.js';
import { assertModeFits } from './restore.service.js';

describe('the modes of a restore point', () => {
  const VDC_MODES = RESTORE_MODES.filter((mode) => mode !== 'template' && mode !== 'medium');
  it.each([
    ['vapp', VDC_MODES],
    ['standalone-vm', VDC_MODES],
    ['vapp-template', ['template']],
    ['media', ['medium']],
  ] satisfies [SourceKind, string[]][])('of kind %s', (sourceKind, fitting) => {
    const fits = RESTORE_MODES.filter((mode) => {
      try {
        assertModeFits({ mode }, { sourceKind, vappName: 'it' });
        return true;
      } catch (error) {
        expect(error).toMatchObject({ code: 'RESTORE_REQUEST_INVALID', details: { field: 'mode', mode } });
        return false;
      }
    });
    expect(fits).toEqual(fitting);
  });
  it('names the mode that fits', () => {
    const refused = (mode: 'copy' | 'template', sourceKind: SourceKind) => () => assertModeFits({ mode }, { sourceKind, vappName: 'it' });
    expect(refused('copy', 'media')).toThrow('of medium "it", which mode copy does not restore; use mode medium.');
    expect(refused('template', 'vapp')).toThrow(/of vApp "it".*one of: missing-vapp, overwrite/);
  });
});
