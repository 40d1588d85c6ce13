import { describe, expect, it } from 'vitest';
import { withoutSecrets } from './request-log.js';

describe('withoutSecrets', () => {
  it('removes passwords and session keys, and nothing that only sounds like them', () => {
    expect(withoutSecrets('<vim:password>s3cret</vim:password><userName>u</userName>')).toBe(
      '<vim:password>[removed]</vim:password><userName>u</userName>',
    );
    expect(withoutSecrets('<AdminPassword>s3cret</AdminPassword>')).toBe('<AdminPassword>[removed]</AdminPassword>');
    expect(withoutSecrets('<AdminPasswordEnabled>true</AdminPasswordEnabled>')).toBe('<AdminPasswordEnabled>true</AdminPasswordEnabled>');
    expect(withoutSecrets('{"password": "s3cret", "name": "n"}')).toBe('{"password": "[removed]", "name": "n"}');
    expect(withoutSecrets('<LoginResponse><returnval><key>52ab</key></returnval></LoginResponse>')).not.toContain('52ab');
  });
});
